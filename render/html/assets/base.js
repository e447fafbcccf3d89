// What every view needs: words, elements, styled text, figures as people read them.
// Texts of the wire reach the page through el() only, which makes text nodes of them.
const S = {};

S.words = JSON.parse(document.getElementById('words').textContent);
S.styles = S.words.styles; // CSS class by style number

// t gives the words of a key, with {0}, {1} ... filled in.
S.t = (key, ...args) => (S.words.text[key] ?? key).replace(/\{(\d)\}/g, (_, n) => String(args[n] ?? ''));

// el makes an element: attributes by name ("on…" are listeners, "class" the class), then children: nodes or texts.
S.el = (tag, attrs, ...children) => {
  const e = document.createElement(tag);
  for (const [name, value] of Object.entries(attrs || {})) {
    if (value === undefined || value === null || value === false) continue;
    if (name.startsWith('on')) e.addEventListener(name.slice(2), value);
    else if (name === 'class') e.className = value;
    else e.setAttribute(name, value === true ? '' : value);
  }
  e.append(...children.flat(Infinity).filter((c) => c !== null && c !== undefined && c !== false).map((c) => (c instanceof Node ? c : String(c))));
  return e;
};

// styled cuts a text of the encoder at its style characters (U+E000 + style) into spans, a list of nodes a line.
S.styled = (s) => s.split('\n').map((line) => {
  const nodes = [];
  let style = 0;
  for (const piece of line.split(/([\ue000-\ue03f])/)) {
    if (piece === '') continue;
    const c = piece.charCodeAt(0);
    if (piece.length === 1 && c >= 0xe000 && c <= 0xe03f) {
      style = c - 0xe000;
      continue;
    }
    nodes.push(S.styles[style] ? S.el('span', { class: 'w-' + S.styles[style] }, piece) : document.createTextNode(piece));
  }
  return nodes;
});

// lengthen writes out the runs of a text ladder.
S.lengthen = (s) => s.replace(/(.)([\ue000-\ue0ff])/gsu, (_, c, n) => c.repeat(n.charCodeAt(0) - 0xe000));

// plain is a styled text without its styles.
S.plain = (s) => s.replace(/[\ue000-\ue03f]/g, '');

// duration writes milliseconds as a person reads them, as the command line does.
S.duration = (ms) => {
  if (ms === null || ms === undefined) return '';
  if (ms < 0) return '-' + S.duration(-ms);
  const two = (a, unitA, b, unitB) => a + unitA + (b ? ' ' + b + unitB : '');
  if (ms < 10) return Number(ms.toFixed(2)) + ' ms';
  if (ms < 999.5) return Math.round(ms) + ' ms';
  if (ms < 59995) return Number((ms / 1000).toFixed(2)) + ' s';
  if (ms < 3599500) {
    const s = Math.round(ms / 1000);
    return two(Math.floor(s / 60), ' min', s % 60, ' s');
  }
  const m = Math.round(ms / 60000);
  if (m < 48 * 60) return two(Math.floor(m / 60), ' h', m % 60, ' min');
  const h = Math.floor(ms / 3600000);
  return two(Math.floor(h / 24), ' d', h % 24, ' h');
};

S.number = (n) => n.toLocaleString('en-GB');

S.party = (p) => (p.user && p.host ? p.user + '@' + p.host : p.user || p.host || p.uri || '');

// good, bad and the rest, for colours: the classes of the list.
S.stateClass = (state) => ({
  answered: 'good', completed: 'good', succeeded: 'good', registered: 'good', subscribed: 'good', unregistered: 'good', terminated: 'good',
  failed: 'bad', timed_out: 'bad', busy: 'warn', declined: 'warn', not_found: 'warn', cancelled: 'warn', redirected: 'warn', challenged: 'warn',
}[state] || 'open');

S.copy = async (text, button) => {
  let ok = true;
  try {
    await navigator.clipboard.writeText(text);
  } catch {
    const area = S.el('textarea', { class: 'offscreen', readonly: true });
    area.value = text;
    document.body.append(area);
    area.select();
    ok = document.execCommand('copy');
    area.remove();
  }
  if (ok && button) {
    const was = button.textContent;
    button.textContent = S.t('message.copied');
    setTimeout(() => { button.textContent = was; }, 1200);
  }
};

S.download = (name, type, data) => {
  const url = URL.createObjectURL(new Blob([data], { type }));
  const a = S.el('a', { href: url, download: name });
  document.body.append(a);
  a.click();
  a.remove();
  setTimeout(() => URL.revokeObjectURL(url), 10000);
};

S.bytes = (base64) => Uint8Array.from(atob(base64), (c) => c.charCodeAt(0));

// later runs f once things have been quiet for ms.
S.later = (f, ms) => {
  let timer = 0;
  return (...args) => {
    clearTimeout(timer);
    timer = setTimeout(() => f(...args), ms);
  };
};
