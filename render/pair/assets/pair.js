// The page of a comparison: the list of pairs, two ladders row by row, and the two messages of a row.
// Texts of the wire reach the page through el() only, which makes text nodes of them.

(() => {
  const read = (id) => JSON.parse(document.getElementById(id).textContent);
  const words = read('words'), meta = read('meta');
  const t = (key, ...args) => (words[key] ?? key).replace(/\{(\d)\}/g, (_, n) => String(args[n] ?? ''));
  const list = document.getElementById('list'), root = document.getElementById('pair');
  const docs = new Map();
  let doc = null, shown = -1, at = -1, open = -1;

  // el makes an element: attributes by name ("on…" are listeners, "class" the class), then children: nodes or texts.
  const el = (tag, attrs, ...children) => {
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

  const bytes = (base64) => Uint8Array.from(atob(base64), (c) => c.charCodeAt(0));

  // unpack gives the document of a pair, null when it was left out.
  async function unpack(i) {
    const block = document.getElementById('pair-' + i);
    if (!block) return null;
    if (!docs.has(i)) {
      if (typeof DecompressionStream === 'undefined') throw new Error(t('old'));
      const stream = new Blob([bytes(block.textContent)]).stream().pipeThrough(new DecompressionStream('deflate-raw'));
      docs.set(i, JSON.parse(await new Response(stream).text()));
    }
    return docs.get(i);
  }

  const duration = (ms) => {
    if (ms < 10) return Number(ms.toFixed(2)) + ' ms';
    if (ms < 999.5) return Math.round(ms) + ' ms';
    if (ms < 59995) return Number((ms / 1000).toFixed(2)) + ' s';
    const s = Math.round(ms / 1000);
    if (s < 3600) return Math.floor(s / 60) + ' min' + (s % 60 ? ' ' + (s % 60) + ' s' : '');
    return Math.floor(s / 3600) + ' h ' + Math.round(s / 60) % 60 + ' min';
  };

  // when says how long after its cause a message came: on both sides where that is not about the same.
  function when(row) {
    const a = row.a?.wait_ms ?? null, b = row.b?.wait_ms ?? null;
    if (a === null && b === null) return '';
    if (a === null) return duration(b);
    if (b === null) return duration(a);
    const d = Math.abs(a - b);
    return d < 20 || d < Math.min(a, b) / 4 ? duration(a) : duration(a) + ' → ' + duration(b);
  }

  const telling = (row) => !['same', 'expected', 'not_reached'].includes(row.verdict);
  const full = (m) => m.label + (m.sdp ? ' sdp ' + m.sdp : '');

  // A lifeline stands on the line between two columns of a grid; the outer ones are narrow.
  const edge = 'minmax(0, .55fr) ';
  const place = (k, n) => 100 * (0.55 + 2 * k) / (2 * n - 0.9);

  function lanes(side, m) {
    const n = doc.participants.length;
    const box = el('div', { class: 'lanes ' + side });
    box.style.gridTemplateColumns = edge + (n > 1 ? 'repeat(' + (2 * n - 2) + ', minmax(0, 1fr)) ' : '') + edge;
    for (let i = 0; i < n; i++) {
      const life = el('i', { class: 'life' });
      life.style.gridColumn = String(2 * i + 2);
      box.append(life);
    }
    if (m) box.append(arrow(m, n));
    return box;
  }

  function arrow(m, n) {
    const from = m.from ?? 0, to = m.to ?? 0;
    const kind = m.status ? 'response s' + (m.status === 401 || m.status === 407 ? 1 : Math.floor(m.status / 100)) : 'request';
    const way = from === to ? 'loop' : from < to ? 'right' : 'left';
    const a = el('div', { class: 'arrow ' + way + ' ' + kind, title: full(m) }, el('span', { class: 'label' }, full(m)));
    const lo = Math.min(from, to), hi = Math.max(from, to);
    a.style.gridColumn = lo === hi ? (lo === n - 1 && n > 1 ? 2 * lo + 1 + ' / -1' : 2 * lo + 2 + ' / span 2') : 2 * lo + 2 + ' / ' + (2 * hi + 2);
    return a;
  }

  function says(row, i) {
    const first = doc.first === i + 1;
    return el('div', { class: 'says' }, el('b', { class: 'badge' }, first ? t('first') : t('v.' + row.verdict)),
      row.differences.length ? el('ul', {}, row.differences.slice(0, 4).map((d) => el('li', {}, d.text)),
        row.differences.length > 4 ? el('li', {}, '… ' + (row.differences.length - 4)) : null) : null);
  }

  function rowNode(row, i) {
    const alike = row.a && row.b && full(row.a) === full(row.b) && row.a.from === row.b.from && row.a.to === row.b.to;
    const cls = ['plr', 'row', 'v-' + row.verdict, doc.first === i + 1 ? 'first' : '', alike ? 'alike' : 'unlike', row.a ? '' : 'no-a', row.b ? '' : 'no-b'];
    const m = row.a || row.b;
    const who = (k) => doc.participants[k]?.name ?? '?';
    return el('div', {
      class: cls.filter(Boolean).join(' '), tabindex: '0', role: 'button', 'aria-expanded': 'false', 'data-row': i,
      'aria-label': t('row', i + 1, full(m)) + ', ' + who(m.from) + ' → ' + who(m.to) + ', ' + t('v.' + row.verdict) + (row.differences.length ? ': ' + row.differences.map((d) => d.text).join('; ') : ''),
    }, el('span', { class: 'no' }, i + 1), lanes('a', row.a), lanes('b', row.b),
    el('span', { class: 'mark a', 'aria-hidden': 'true' }, '−'), el('span', { class: 'mark b', 'aria-hidden': 'true' }, '+'),
    el('span', { class: 'when' }, when(row)), says(row, i));
  }

  // host is an address below a name, unless it is the name.
  const host = (endpoint, name) => {
    const address = endpoint.replace(/:\d+$/, '').replace(/^\[|\]$/g, '');
    return address && !name.includes(address) ? el('small', {}, address) : null;
  };

  const title = (name, call) => name + (call && call.num ? ' ' + t('side', call.num) : '');

  const names = (side, name) => {
    const n = doc.participants.length;
    const box = el('div', { class: 'lanes ' + side }, doc.participants.map((p, k) => {
      const who = el('span', { class: 'who', title: [p.name, ...p[side]].join(' ') }, p.name, host(p[side][0] ?? '', p.name));
      who.style.left = place(k, n) + '%';
      who.style.maxWidth = 190 / (2 * n - 0.9) + '%';
      return who;
    }));
    return el('div', { class: side === 'a' ? 'lanes-a' : 'lanes-b' }, el('div', { class: 'cap', title: name }, name), box);
  };

  function side(sign, name, call) {
    if (!call) return null;
    const state = call.state.replace(/_/g, ' ') + (call.code ? ' ' + call.code + ' ' + call.reason : '');
    return el('p', {}, el('span', { class: 'sign ' + (sign === '−' ? 'a' : 'b') }, sign), ' ', el('b', {}, title(name, call)), ' · ', state, ' · ',
      call.method, ' ', call.from, ' → ', call.to, el('br'), el('small', {}, call.start.slice(0, 23).replace('T', ' ') + ' UTC · ' + call.call_id));
  }

  function counts(c) {
    const all = [['same', c.same + c.expected], ...['tolerated', 'late', 'differs', 'missing', 'extra', 'not_reached'].map((v) => [v, c[v]])];
    return all.filter(([, n]) => n).map(([v, n]) => n + ' ' + t('v.' + v)).join(', ');
  }

  function draw() {
    const button = (word, sign, f, more) => el('button', { type: 'button', title: t(word), 'aria-label': t(word), onclick: f, ...more }, sign);
    const many = meta.pairs > 1;
    root.replaceChildren(...[
      el('div', { class: 'bar' }, many ? el('a', { href: '#' }, '← ' + t('back')) : null,
        many ? el('span', { class: 'grow' }, el('span', { class: 'v-' + doc.verdict }, el('b', { class: 'badge' }, t('v.' + doc.verdict))), ' ', doc.headline) : el('span', { class: 'grow' }),
        many ? [button('prevpair', '‹', () => beside(-1)), button('nextpair', '›', () => beside(1))] : null,
        button('prev', '▲', () => step(-1)), button('next', '▼', () => step(1)),
        el('button', { type: 'button', id: 'only', 'aria-pressed': String(root.classList.contains('differ')), onclick: only }, t('only'))),
      el('div', { class: 'sides' }, side('−', meta.a, doc.a), side('+', meta.b, doc.b)),
      el('p', { class: 'counts' }, doc.counts ? counts(doc.counts) : ''),
      doc.notes.length ? el('ul', { class: 'notes' }, doc.notes.map((n) => el('li', {}, (n.side === 'a' ? meta.a : meta.b) + ': ' + (n.time_ms === null ? '' : duration(n.time_ms) + ' · ') + n.text))) : null,
      el('p', { class: 'hint' }, t('hint')),
      el('div', { class: doc.participants.length > 6 ? 'pl crowd' : 'pl' },
        el('div', { class: 'plr plhead' }, el('span'), names('a', title(meta.a, doc.a)), names('b', title(meta.b, doc.b)), el('span', { class: 'when head' }, t('head.after')), el('span', { class: 'says head' }, t('head.verdict'))),
        doc.rows.map(rowNode)),
    ].filter(Boolean));
    root.querySelector('.pl').style.setProperty('--n', doc.participants.length);
    at = open = -1;
  }

  const rowAt = (i) => root.querySelector('.row[data-row="' + i + '"]');

  function only() {
    const on = root.classList.toggle('differ');
    document.getElementById('only').setAttribute('aria-pressed', String(on));
  }

  // mark moves the cursor to a row.
  function mark(i, focus) {
    rowAt(at)?.classList.remove('chosen');
    at = i;
    const r = rowAt(i);
    if (!r) return;
    r.classList.add('chosen');
    if (focus) r.focus({ preventScroll: true });
    r.scrollIntoView({ block: 'center' });
  }

  // step goes to the next difference, or the previous one, and opens it when messages are open.
  function step(by) {
    for (let i = at < 0 && by < 0 ? doc.rows.length - 1 : at + by; i >= 0 && i < doc.rows.length; i += by) {
      if (!telling(doc.rows[i])) continue;
      const was = open >= 0;
      close();
      mark(i, true);
      if (was) show(i);
      return;
    }
    say(t('last'));
  }

  function move(by) {
    for (let i = at + by; i >= 0 && i < doc.rows.length; i += by) {
      const r = rowAt(i);
      if (r && r.offsetParent !== null) {
        mark(i, true);
        return;
      }
    }
  }

  function say(text) {
    document.querySelector('.toast')?.remove();
    const toast = el('div', { class: 'toast', role: 'status' }, text);
    document.body.append(toast);
    setTimeout(() => toast.remove(), 1500);
  }

  function close() {
    if (open < 0) return;
    rowAt(open)?.setAttribute('aria-expanded', 'false');
    root.querySelector('.two')?.remove();
    open = -1;
  }

  // show opens the messages of a row below it.
  function show(i) {
    const same = open === i;
    close();
    mark(i, false);
    history.replaceState(null, '', link(shown, same ? -1 : i));
    if (same) return;
    open = i;
    const r = rowAt(i);
    r.setAttribute('aria-expanded', 'true');
    r.after(messages(doc.rows[i], i));
    r.scrollIntoView({ block: 'nearest' });
    root.querySelector('.two').scrollIntoView({ block: 'nearest' });
  }

  function messages(row, i) {
    const who = (m, name) => (m ? [el('b', {}, name), ' ' + m.label + ' · ' + m.source + ' → ' + m.destination, m.frame ? ' · ' + t('frame', m.frame) : ''] : [el('b', {}, name), ' · ' + t('none')]);
    const label = row.a && row.b && row.a.label !== row.b.label ? row.a.label + ' | ' + row.b.label : (row.a || row.b).label;
    const button = (word, sign, f) => el('button', { type: 'button', title: t(word), 'aria-label': t(word), onclick: f }, sign);
    return el('div', { class: 'two v-' + row.verdict, role: 'region', 'aria-label': t('row', i + 1, label) },
      el('div', { class: 'bar' }, el('h3', {}, t('row', i + 1, label), ' ', el('b', { class: 'badge' }, t(doc.first === i + 1 ? 'first' : 'v.' + row.verdict))),
        button('prev', '▲', () => step(-1)), button('next', '▼', () => step(1)), button('close', '✕', () => { show(i); rowAt(i).focus(); })),
      row.differences.length ? el('ul', { class: 'why' }, row.differences.map((d) => el('li', {}, el('b', {}, t('v.' + d.verdict)), ' · ', d.text))) : null,
      row.lines.length ? el('div', { class: 'msgs', tabindex: '0' },
        el('div', { class: 'ml mlhead' }, el('div', { class: 'a' }, who(row.a, meta.a)), el('div', { class: 'b' }, who(row.b, meta.b))), row.lines.map(line))
        : el('p', { class: 'problem' }, t('lines.none')));
  }

  function line(l) {
    const expected = l.why.startsWith('expected');
    const cls = ['ml', l.change, l.meaning ? 'meaning' : '', l.change === 'changed' && !l.meaning ? (expected ? 'expected' : 'only-spelling') : ''];
    const half = (name, spans) => el('div', { class: name }, (spans || []).map((s) => (s.differs && spans.length > 1 ? el('mark', {}, s.text) : s.text)),
      name === 'b' && l.why && !expected ? el('span', { class: 'because' }, '  (' + l.why + ')') : null);
    return el('div', { class: cls.filter(Boolean).join(' '), title: l.why || null }, half('a', l.a), half('b', l.b));
  }

  // link is the address of a pair, and of one of its rows.
  const link = (p, i) => '#' + [meta.pairs > 1 ? 'pair=' + p : '', i >= 0 ? 'row=' + (i + 1) : ''].filter(Boolean).join('&');

  function beside(by) {
    for (let i = shown + by; i >= 0 && i < meta.pairs; i += by) {
      if (document.getElementById('pair-' + i)) {
        location.hash = 'pair=' + i;
        return;
      }
    }
    say(t('last'));
  }

  async function route() {
    const p = new URLSearchParams(location.hash.slice(1));
    const i = meta.pairs === 1 ? 0 : Number(p.get('pair') ?? -1);
    if (list) list.hidden = i >= 0;
    root.hidden = i < 0;
    if (i < 0) {
      shown = -1;
      return;
    }
    if (i !== shown) {
      try {
        const d = await unpack(i);
        if (!d) {
          root.replaceChildren();
          return;
        }
        doc = d;
        shown = i;
        draw();
      } catch (e) {
        root.replaceChildren(el('p', { class: 'problem', role: 'alert' }, t('failed', e.message)));
        return;
      }
    }
    const row = Number(p.get('row') ?? 0) - 1;
    if (row >= 0 && row !== open && rowAt(row)) show(row);
  }

  root.addEventListener('click', (e) => {
    const r = e.target.closest('.row');
    if (r && !getSelection().toString()) show(Number(r.dataset.row));
  });
  list?.addEventListener('click', (e) => {
    const r = e.target.closest('tr.open');
    if (r && !e.target.closest('a')) location.hash = 'pair=' + r.dataset.pair;
  });
  document.addEventListener('keydown', (e) => {
    if (e.ctrlKey || e.metaKey || e.altKey || shown < 0) return;
    const row = e.target.closest?.('.row');
    const keys = {
      n: () => step(1), N: () => step(-1), p: () => step(-1), o: only, j: () => move(1), k: () => move(-1),
      '[': () => beside(-1), ']': () => beside(1),
      Escape: () => {
        const i = open;
        if (i >= 0) show(i), rowAt(i)?.focus(); else if (meta.pairs > 1) location.hash = '';
      },
    };
    if (row) {
      at = Number(row.dataset.row);
      Object.assign(keys, { ArrowDown: () => move(1), ArrowUp: () => move(-1), Enter: () => show(at), ' ': () => show(at) });
    }
    if (!keys[e.key]) return;
    e.preventDefault();
    keys[e.key]();
  });
  window.addEventListener('hashchange', route);

  // theme: what the system prefers, until the button says otherwise; kept where the browser lets us
  const stored = (() => { try { return localStorage.getItem('sipscope-theme'); } catch { return null; } })();
  if (stored === 'light' || stored === 'dark') document.documentElement.dataset.theme = stored;
  document.getElementById('theme').addEventListener('click', () => {
    const dark = getComputedStyle(document.documentElement).getPropertyValue('--dark').trim() === '1';
    document.documentElement.dataset.theme = dark ? 'light' : 'dark';
    try { localStorage.setItem('sipscope-theme', document.documentElement.dataset.theme); } catch { /* a file without storage */ }
  });
  document.getElementById('print').addEventListener('click', () => window.print());

  route().then(() => document.documentElement.classList.add('ready'));
})();
