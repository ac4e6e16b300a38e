/**
 * An expression for a page: how many texts it shows, and those whose contrast with what is behind them is below `least`
 * (WCAG 2: relative luminances, (brighter + 0.05) / (darker + 0.05)). Controls that are switched off do not count.
 */
export function lowContrast(least: number): string {
  return `(() => {
    const context = new OffscreenCanvas(1, 1).getContext('2d', { willReadFrequently: true });
    // Painted one over the other, whatever way the colours are written.
    const paint = (colours) => {
      context.fillStyle = '#fff';
      context.fillRect(0, 0, 1, 1);
      for (const colour of colours) {
        context.fillStyle = colour;
        context.fillRect(0, 0, 1, 1);
      }
      return [...context.getImageData(0, 0, 1, 1).data].slice(0, 3);
    };
    const luminance = (rgb) => {
      const [r, g, b] = rgb.map((byte) => byte / 255).map((v) => (v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4));
      return 0.2126 * r + 0.7152 * g + 0.0722 * b;
    };
    const behind = (element) => {
      const colours = [];
      for (let at = element; at !== null; at = at.parentElement) colours.unshift(getComputedStyle(at).backgroundColor);
      return colours;
    };
    const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
    let texts = 0;
    const low = [];
    while (walker.nextNode()) {
      const element = walker.currentNode.parentElement;
      const text = walker.currentNode.textContent.trim();
      if (text === '' || element.closest('script, :disabled') || !element.checkVisibility({ visibilityProperty: true })) continue;
      texts++;
      const ground = behind(element);
      const [a, b] = [paint(ground), paint([...ground, getComputedStyle(element).color])].map(luminance).sort((x, y) => y - x);
      const contrast = (a + 0.05) / (b + 0.05);
      if (contrast < ${least}) low.push(text + ': ' + contrast.toFixed(2));
    }
    return { texts, low };
  })()`;
}
