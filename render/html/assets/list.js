// The list of calls: filters, sorting, and a table that holds only the rows in sight, so that 100,000 calls scroll as
// well as ten.

S.ListView = (root, source, open) => {
  const rowHeight = 30; // pixels, as the style sheet has it
  const query = { text: '', state: '', method: '', code: '', host: '', user: '', expr: '', sort: 'num', desc: false };
  const columns = [
    ['num', 'num'], ['start', 'start'], ['method', 'method'], ['from', 'text'], ['to', 'text'], ['state', 'state'], ['code', 'num'],
    ['messages', 'num'], ['pdd', 'num'], ['setup', 'num'], ['duration', 'num'], ['source', 'addr'], ['destination', 'addr'], ['notes', 'notes'],
  ];
  let total = 0, of = 0, rows = [], from = 0, selected = 0, asked = 0;

  const field = (name, control) => S.el('label', { class: 'field field-' + name }, S.el('span', {}, S.t('list.' + name)), control);
  const input = (name, key, type) => {
    const i = S.el('input', {
      type: type || 'text', name: key, placeholder: S.t('list.' + name + '.hint'), autocomplete: 'off', spellcheck: 'false',
      oninput: S.later(() => { query[key] = i.value; refresh(true); }, source.listen ? 250 : 60),
    });
    return i;
  };
  const select = (key) => S.el('select', { name: key, onchange: (e) => { query[key] = e.target.value; refresh(true); } }, S.el('option', { value: '' }, S.t('list.any')));
  const state = select('state');
  const method = select('method');
  const search = input('search', 'text', 'search');
  const problem = S.el('p', { class: 'problem', role: 'alert', hidden: true });
  const filters = S.el('form', { class: 'filters', role: 'search', onsubmit: (e) => e.preventDefault() },
    field('search', search), field('state', state), field('method', method),
    field('code', input('code', 'code')), field('host', input('host', 'host')), field('user', input('user', 'user')),
    source.listen ? field('expr', input('expr', 'expr')) : null,
    S.el('button', { type: 'button', class: 'clear', onclick: () => clear() }, S.t('list.clear')));
  const count = S.el('p', { class: 'count', role: 'status' });
  const extra = S.el('p', { class: 'extra' });

  const head = S.el('tr', {}, columns.map(([name, kind]) => S.el('th', { class: 'c-' + name + ' k-' + kind, scope: 'col', 'data-sort': name },
    S.el('button', { type: 'button', onclick: () => sort(name) }, S.t('col.' + name)))));
  const before = S.el('tr', { class: 'spacer', 'aria-hidden': 'true' }, S.el('td', { colspan: columns.length }));
  const after = S.el('tr', { class: 'spacer', 'aria-hidden': 'true' }, S.el('td', { colspan: columns.length }));
  const body = S.el('tbody', {}, before, after);
  const table = S.el('table', { class: 'calls', 'aria-label': S.t('list.label') }, S.el('thead', {}, head), body);
  const scroll = S.el('div', { class: 'scroll', tabindex: '0', onscroll: () => draw(), onkeydown: (e) => key(e) }, table);
  root.replaceChildren(S.el('h2', { class: 'offscreen' }, S.t('list.title')), filters, problem, count, scroll, extra);

  source.choices().then((c) => {
    for (const s of c.states) state.append(S.el('option', { value: s }, s.replace(/_/g, ' ')));
    for (const m of c.methods) method.append(S.el('option', { value: m }, m));
  }, fail);

  function clear() {
    filters.reset();
    Object.assign(query, { text: '', state: '', method: '', code: '', host: '', user: '', expr: '' });
    refresh(true);
  }

  function sort(name) {
    if (query.sort === name) query.desc = !query.desc;
    else Object.assign(query, { sort: name, desc: ['code', 'messages', 'pdd', 'setup', 'duration', 'notes'].includes(name) });
    refresh(true);
  }

  function fail(e) {
    problem.textContent = e.message;
    problem.hidden = false;
  }

  // refresh asks for the rows in sight; an answer that a newer question overtook is dropped.
  async function refresh(toTop) {
    const mine = ++asked;
    if (toTop) {
      scroll.scrollTop = 0;
      selected = 0;
    }
    const screen = Math.ceil((scroll.clientHeight || 600) / rowHeight);
    const at = Math.max(0, Math.floor(scroll.scrollTop / rowHeight) - screen);
    try {
      const p = await source.page({ ...query, offset: at, limit: Math.min(1000, 3 * screen + 1) });
      if (mine !== asked) return;
      problem.hidden = true;
      ({ total, of, rows } = p);
      from = at;
      show();
    } catch (e) {
      if (mine === asked) fail(e);
    }
  }

  // draw asks again when the rows that are there do not cover what is in sight.
  function draw() {
    const first = Math.floor(scroll.scrollTop / rowHeight);
    const last = Math.min(total, first + Math.ceil(scroll.clientHeight / rowHeight));
    if (first < from || last > from + rows.length) refresh(false);
  }

  function show() {
    for (const th of head.children) {
      if (th.dataset.sort === query.sort) th.setAttribute('aria-sort', query.desc ? 'descending' : 'ascending');
      else th.removeAttribute('aria-sort');
    }
    table.setAttribute('aria-rowcount', total + 1);
    count.textContent = S.t('list.count', S.number(total), S.number(of));
    before.firstChild.style.height = from * rowHeight + 'px';
    after.firstChild.style.height = Math.max(0, total - from - rows.length) * rowHeight + 'px';
    const drawn = rows.length ? rows.map(row) : [S.el('tr', { class: 'none' }, S.el('td', { colspan: columns.length }, S.t(of ? 'list.none' : 'list.empty')))];
    body.replaceChildren(before, ...drawn, after);
    extra.replaceChildren(...(source.listDownload ? ['pcapng', 'csv', 'ndjson'].map((f) => S.el('a', { href: source.listDownload(query, f), download: true }, S.t('list.download') + ' (' + f + ')')) : []));
  }

  function row(r, i) {
    const n = from + i;
    const cell = (name, kind, ...content) => S.el('td', { class: 'c-' + name + ' k-' + kind }, ...content);
    const notes = [['retransmissions', r.retransmissions], ['gaps', r.gaps], ['diags', r.diags]].filter(([, v]) => v).map(([k, v]) => S.t('note.' + k, v)).join(' · ');
    const to = S.party(r.to), caller = S.party(r.from);
    return S.el('tr', { class: n === selected ? 'on' : '', 'aria-rowindex': n + 2, 'data-num': r.num, onclick: () => { selected = n; open(r.num); } },
      cell('num', 'num', S.el('a', { href: S.link(r.num) }, r.num)),
      cell('start', 'start', r.start.slice(0, 10) + ' ', S.el('b', {}, r.start.slice(11, 23))),
      cell('method', 'method', r.method),
      cell('from', 'text', S.el('span', { title: r.from.display ? r.from.display + ' <' + r.from.uri + '>' : r.from.uri }, caller)),
      cell('to', 'text', S.el('span', { title: r.to.uri }, to)),
      cell('state', 'state', S.el('span', { class: 'badge ' + S.stateClass(r.state) }, r.state.replace(/_/g, ' '))),
      cell('code', 'num', S.el('span', { title: r.reason }, r.code ?? '')), cell('messages', 'num', r.messages),
      cell('pdd', 'num', S.duration(r.pdd_ms)), cell('setup', 'num', S.duration(r.setup_ms)), cell('duration', 'num', S.duration(r.duration_ms)),
      cell('source', 'addr', r.source ?? ''), cell('destination', 'addr', r.destination ?? ''), cell('notes', 'notes', S.el('span', { title: notes }, notes)));
  }

  function key(e) {
    const page = Math.max(1, Math.floor(scroll.clientHeight / rowHeight) - 2);
    const step = { ArrowDown: 1, j: 1, ArrowUp: -1, k: -1, PageDown: page, PageUp: -page, Home: -total, End: total }[e.key];
    if (step !== undefined && e.target === scroll) {
      e.preventDefault();
      selected = Math.max(0, Math.min(total - 1, selected + step));
      const y = selected * rowHeight;
      const headHeight = head.offsetHeight;
      if (y < scroll.scrollTop) scroll.scrollTop = y;
      else if (y + rowHeight > scroll.scrollTop + scroll.clientHeight - headHeight) scroll.scrollTop = y + rowHeight - scroll.clientHeight + headHeight;
      if (selected >= from && selected < from + rows.length) show();
      else refresh(false);
    } else if (e.key === 'Enter' && e.target === scroll) {
      const r = rows[selected - from];
      if (r) open(r.num);
    }
  }

  return {
    refresh,
    show() { refresh(false); scroll.focus({ preventScroll: true }); },
    focusSearch() { search.focus(); search.select(); },
    set(values) { Object.assign(query, values); return refresh(true); },
    // merge takes changed calls from the server: those in sight change at once, the rest when somebody looks.
    merge(calls) {
      const plain = query.sort === 'num' && !query.desc && !query.text && !query.state && !query.method && !query.code && !query.host && !query.user && !query.expr;
      if (!plain) return this.stale();
      let touched = false;
      for (const c of calls) {
        const i = rows.findIndex((r) => r.num === c.num);
        if (i >= 0) { rows[i] = c; touched = true; }
      }
      if (touched) show();
      const last = calls.reduce((m, c) => Math.max(m, c.num), 0);
      if (last > (rows.at(-1)?.num ?? 0)) this.stale();
    },
    stale: (() => {
      let at = 0, waiting = false;
      return () => { // at most once a second
        if (waiting) return;
        waiting = true;
        setTimeout(() => { waiting = false; at = Date.now(); refresh(false); }, Math.max(0, 1000 - (Date.now() - at)));
      };
    })(),
  };
};
