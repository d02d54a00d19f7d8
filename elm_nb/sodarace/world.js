// A canvas on which things are drawn in world units: x to the right, y up.
class World {
  constructor(canvas, colors) {
    this.canvas = canvas;
    this.pen = canvas.getContext('2d');
    this.colors = colors;
  }

  look(middle, foot, width) { // At what is `width` units wide, with `foot` near the lower edge
    this.middle = middle;
    this.foot = foot;
    this.scale = this.canvas.width/width;
  }

  x(x) { return this.canvas.width/2 + (x - this.middle)*this.scale; }
  y(y) { return 0.82*this.canvas.height - (y - this.foot)*this.scale; }

  clear() {
    this.pen.clearRect(0, 0, this.canvas.width, this.canvas.height);
    this.pen.lineCap = 'round';
    this.pen.lineJoin = 'round';
  }

  line(points, color, width) { // Width in pixels
    this.pen.strokeStyle = color;
    this.pen.lineWidth = width;
    this.pen.beginPath();
    for (const [x, y] of points) this.pen.lineTo(this.x(x), this.y(y));
    this.pen.stroke();
  }

  posts(half, heightAt) { // Every ten units, to show how fast the walker goes
    for (let x = Math.ceil((this.middle - half)/10)*10; x < this.middle + half; x += 10) {
      const y = heightAt(x);
      this.line([[x, y - 0.2], [x, y - 1.2]], '#fff', 2);
    }
  }

  joints(points, radius) { // Radius in pixels
    this.pen.fillStyle = this.colors.joint;
    for (const [x, y] of points) {
      this.pen.beginPath();
      this.pen.arc(this.x(x), this.y(y), radius, 0, 7);
      this.pen.fill();
    }
  }
}
