"A language model as the mutation operator"
from . import model, sampler, adapter # noqa: F401, since a `LanguageModel` has the methods of all three, whichever module is imported
