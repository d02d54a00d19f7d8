"How the site shows the pictures that plots made: at their size on paper, with what `#| fig-alt:` says of them as alternative text"
import base64, html, struct

def sized(cell):
    "Replace PNG pictures, which have two pixels for each that is meant"
    if cell.cell_type != 'code': return
    about = cell.directives_.get('fig-alt', '')
    for output in cell.get('outputs', []):
        if 'image/png' not in (data := output.get('data', {})): continue
        picture = ''.join(data['image/png']).replace('\n', '')
        width, _ = struct.unpack('>II', base64.b64decode(picture)[16:24])
        output['data'] = {'text/html': f'<img src="data:image/png;base64,{picture}" width="{width//2}" class="img-fluid" alt="{html.escape(about)}">'}
