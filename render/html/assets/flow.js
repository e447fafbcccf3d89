// A call: what is known of it, its ladder, and the message that was chosen.

S.FlowView = (root, source, go) => {
  let doc = null, num = 0, chosen = -1, tab = 'raw', asked = 0;
  const charts = S.Charts(root);

  const svg = (text) => {
    const parsed = new DOMParser().parseFromString(text, 'image/svg+xml').documentElement;
    return document.importNode(parsed, true);
  };

  // show draws a call and opens one of its messages, -1 for none. again keeps what is open: the call has changed.
  async function show(n, message, again) {
    const mine = ++asked;
    if (n === num && doc && !again) {
      choose(message);
      return;
    }
    if (n !== num) root.replaceChildren(S.el('p', { class: 'loading', role: 'status' }, S.t('call.loading', n)));
    try {
      if (typeof DecompressionStream === 'undefined' && !source.listen) throw new Error(S.t('call.old'));
      const d = await source.flow(n);
      if (mine !== asked) return;
      if (again && n === num && doc && d && JSON.stringify(d) === JSON.stringify(doc)) return;
      doc = d;
      num = n;
    } catch (e) {
      if (mine !== asked) return;
      doc = null;
      num = n;
      root.replaceChildren(bar(null), S.el('p', { class: 'problem', role: 'alert' }, S.t('call.failed', e.message)));
      return;
    }
    if (!doc) {
      root.replaceChildren(bar(null), S.el('p', { class: 'left-out' }, S.t('call.left_out', n)));
      return;
    }
    draw();
    choose(message);
  }

  function bar(call) {
    const move = (step, word, sign) => S.el('button', { type: 'button', title: S.t(word), 'aria-label': S.t(word), onclick: () => beside(step) }, sign);
    return S.el('div', { class: 'callbar' },
      S.single ? null : S.el('a', { class: 'back', href: S.link(0) }, '← ' + S.t('nav.back')),
      S.el('h2', {}, S.single ? null : S.el('span', { class: 'num' }, S.t('call.title', num) + ' '), call ? call.title : '', ' ',
        call ? S.el('span', { class: 'badge ' + S.stateClass(call.state) }, call.state.replace(/_/g, ' ')) : null),
      S.single ? null : move(-1, 'nav.prev', '‹'), S.single ? null : move(1, 'nav.next', '›'));
  }

  async function beside(step) {
    const n = await source.beside(num, step);
    if (n) go(n, -1);
  }

  const panel = S.el('aside', { class: 'panel', 'aria-live': 'polite', tabindex: '-1' });

  function draw() {
    const facts = (call) => S.el('dl', { class: 'facts' }, call.facts.map(([name, value, frame]) => S.el('div', {}, S.el('dt', {}, name),
      S.el('dd', {}, value, frame ? S.el('small', {}, ' ' + S.t('call.frame', frame)) : null))));
    const head = svg(doc.head), body = svg(doc.body);
    const ladder = S.el('div', { class: 'ladderbox' }, S.el('div', { class: 'ladderhead' }, head), S.el('div', { class: 'ladderbody' }, body));
    body.addEventListener('click', (e) => pick(e.target.closest('.row')));
    body.addEventListener('keydown', keys);
    body.addEventListener('mouseover', (e) => {
      const row = e.target.closest('.row');
      if (row && !row.querySelector('title')) { // the tip is what is read aloud; so it is not in the file twice
        const tip = document.createElementNS('http://www.w3.org/2000/svg', 'title');
        tip.textContent = row.getAttribute('aria-label');
        row.prepend(tip);
      }
      light(row);
    });
    body.addEventListener('mouseleave', () => light(null));
    body.addEventListener('focusin', (e) => light(e.target.closest('.row')));
    const name = 'call-' + num;
    const buttons = S.el('p', { class: 'buttons' },
      S.el('button', { type: 'button', onclick: (e) => S.copy(S.lengthen(doc.ladder), e.currentTarget) }, S.t('call.copy.ladder')),
      S.el('button', { type: 'button', onclick: () => S.download(name + '.svg', 'image/svg+xml', standalone(head, body)) }, S.t('call.download.svg')),
      doc.pcap ? S.el('button', { type: 'button', onclick: () => S.download(name + '.pcapng', 'application/octet-stream', S.bytes(doc.pcap)) }, S.t('call.download.pcap')) : null,
      source.downloads(num).map(([href, word]) => S.el('a', { href, download: true }, S.t(word))));
    const open = (sel, usual) => root.querySelector(sel)?.open ?? usual; // a live call is drawn again and again
    const [wide, overtime] = [open('details.heard', innerWidth >= 700), open('details.overtime', false)];
    const heard = doc.calls.map(S.mediaNodes).filter(Boolean);
    root.replaceChildren(bar(doc.calls[0]),
      S.el('details', { class: 'known', open: innerWidth >= 700 }, S.el('summary', {}, S.t('call.facts')), doc.calls.map(facts)),
      heard.length ? S.el('details', { class: 'known heard', open: wide }, S.el('summary', {}, S.mediaTitle(doc.calls)), heard) : null, buttons, S.el('p', { class: 'hint' }, S.t('call.hint')), S.el('div', { class: 'split' }, ladder, panel));
    charts.set(Object.fromEntries(doc.calls.flatMap((call) => call.media?.charts || []).map((c) => [c.id, c.option])));
    for (const d of root.querySelectorAll('details.overtime')) d.open = overtime;
  }

  // standalone makes one picture of header and body, with the style sheet inside.
  function standalone(head, body) {
    const h = Number(head.getAttribute('height')), w = Math.max(Number(head.getAttribute('width')), Number(body.getAttribute('width')));
    const all = document.createElementNS('http://www.w3.org/2000/svg', 'svg');
    const total = h + Number(body.getAttribute('height'));
    for (const [k, v] of [['width', w], ['height', total], ['viewBox', '0 0 ' + w + ' ' + total], ['class', 'ladder']]) all.setAttribute(k, v);
    const style = document.createElementNS(all.namespaceURI, 'style');
    style.textContent = S.words.ladder_style + '.ladder{color-scheme:light}';
    const paper = document.createElementNS(all.namespaceURI, 'rect');
    for (const [k, v] of [['width', '100%'], ['height', '100%'], ['fill', '#fff']]) paper.setAttribute(k, v);
    const low = body.cloneNode(true);
    low.setAttribute('y', h);
    all.append(style, paper, head.cloneNode(true), low);
    return new XMLSerializer().serializeToString(all);
  }

  const arrows = () => [...root.querySelectorAll('.ladderbody .row[data-msgs]')];
  const messagesOf = (row) => (row.dataset.msgs || '').split(' ').filter(Boolean).map(Number);

  function pick(row) {
    if (!row || !row.dataset.msgs) return;
    go(num, messagesOf(row)[0], Number(row.dataset.call || 0));
  }

  function keys(e) {
    const all = arrows();
    const at = all.indexOf(e.target.closest('.row'));
    const step = { ArrowDown: 1, j: 1, ArrowUp: -1, k: -1 }[e.key];
    if (step && at >= 0) {
      e.preventDefault();
      all[Math.max(0, Math.min(all.length - 1, at + step))].focus();
    } else if ((e.key === 'Enter' || e.key === ' ') && at >= 0) {
      e.preventDefault();
      pick(all[at]);
    }
  }

  // light marks the rows of the same transaction and dialog.
  function light(row) {
    for (const r of root.querySelectorAll('.ladderbody .row')) {
      const same = row && row.dataset.call === r.dataset.call;
      r.classList.toggle('same-txn', Boolean(same && row.dataset.txn && row.dataset.txn === r.dataset.txn));
      r.classList.toggle('same-dialog', Boolean(same && row.dataset.dialog && row.dataset.dialog === r.dataset.dialog));
    }
  }

  // choose opens message i of call c (its index in the ladder).
  function choose(i, c) {
    chosen = i;
    S.chosenCall = c ?? S.chosenCall ?? 0;
    const call = doc.calls[S.chosenCall] || doc.calls[0];
    const m = call.messages[i];
    for (const r of arrows()) {
      const on = Boolean(m) && Number(r.dataset.call || 0) === S.chosenCall && messagesOf(r).includes(i);
      r.classList.toggle('chosen', on);
      if (on) r.setAttribute('aria-pressed', 'true');
      else r.removeAttribute('aria-pressed');
    }
    root.classList.toggle('reading', Boolean(m));
    if (!m) {
      panel.replaceChildren(S.el('p', { class: 'none' }, S.t('message.none')));
      return;
    }
    panel.replaceChildren(...message(call, m, i));
    (root.querySelector('.ladderbody .chosen .label') || root.querySelector('.ladderbody .chosen'))?.scrollIntoView({ block: 'nearest', inline: 'nearest' });
  }

  function message(call, m, i) {
    const link = (j, text) => S.el('a', { href: S.link(num, j), onclick: (e) => { e.preventDefault(); go(num, j, S.chosenCall); } }, text);
    const fact = (word, ...value) => S.el('div', {}, S.el('dt', {}, S.t(word)), S.el('dd', {}, ...value));
    const txn = call.txns[m.txn];
    const list = (msgs) => msgs.filter((j) => call.messages[j]).map((j, n) => [n ? ' · ' : ' ', j === i ? S.el('b', {}, call.messages[j].label) : link(j, call.messages[j].label)]);
    const peer = txn && txn.peer !== undefined && call.txns[txn.peer];
    const step = (to, word, sign) => S.el('button', { type: 'button', title: S.t(word), 'aria-label': S.t(word), disabled: !call.messages[to], onclick: () => go(num, to, S.chosenCall) }, sign);
    const frames = m.fs || [m.f];
    return [
      S.el('div', { class: 'panelbar' }, S.el('h3', {}, m.label), step(i - 1, 'message.prev', '‹'), step(i + 1, 'message.next', '›'),
        S.el('button', { type: 'button', title: S.t('message.close'), 'aria-label': S.t('message.close'), onclick: () => go(num, -1) }, '✕')),
      S.el('dl', { class: 'facts' },
        fact(frames.length > 1 ? 'message.frames' : 'message.frame', frames.join(', ')),
        fact('message.time', m.at, S.el('small', {}, ' ' + S.t('message.after', S.duration(m.us / 1000)))),
        fact('message.hop', m.src + ' → ' + m.dst + ' ', S.el('small', {}, m.via)),
        txn ? fact('message.txn', S.t('message.txn.text', txn.method, txn.cseq, txn.state) + ':', list(txn.msgs),
          peer ? [' · ' + S.t('message.txn.peer') + ':', list(peer.msgs.slice(0, 1))] : null) : null,
        m.dialog >= 0 ? fact('message.dialog', m.dialog + 1) : null,
        m.repeats !== undefined ? fact('message.repeats', link(m.repeats, S.t('call.frame', call.messages[m.repeats]?.f ?? '?'))) : null),
      m.cut ? S.el('p', { class: 'problem' }, S.t('message.cut')) : null,
      m.raw === undefined ? S.el('p', { class: 'problem' }, S.t('message.missing')) : text(m),
    ].filter(Boolean);
  }

  function text(m) {
    const parts = S.parse(S.plain(m.raw));
    const diags = m.diags || [];
    const tabs = [['raw', 'message.raw'], ['tree', 'message.tree'], parts.sdp ? ['sdp', 'message.sdp'] : null, ['diags', 'message.diags']].filter(Boolean);
    if (!tabs.some(([name]) => name === tab)) tab = 'raw';
    const view = S.el('div', { class: 'messagetext', role: 'tabpanel', tabindex: '0' });
    const paint = () => {
      for (const b of strip.children) b.setAttribute('aria-selected', String(b.dataset.tab === tab));
      view.replaceChildren(tab === 'diags' ? diagList(diags) : tab === 'sdp' ? S.sdpTable(parts.body) : tab === 'tree' ? S.headerTable(parts, diags) : lines(m.raw, diags));
    };
    const strip = S.el('div', { class: 'tabs', role: 'tablist' }, tabs.map(([name, word]) => S.el('button', {
      type: 'button', role: 'tab', 'data-tab': name, class: name === 'diags' && diags.length ? 'has' : '', onclick: () => { tab = name; paint(); },
    }, S.t(word, diags.length))));
    paint();
    return S.el('div', { class: 'message' }, S.el('div', { class: 'tabbar' }, strip,
      S.el('button', { type: 'button', class: 'copy', onclick: (e) => S.copy(S.plain(m.raw), e.currentTarget) }, S.t('message.copy'))), view);
  }

  function lines(styled, diags) {
    const pre = S.el('pre', {});
    S.styled(styled).forEach((nodes, n) => {
      const here = diags.filter((d) => d.line === n);
      pre.append(S.el('span', { class: here.length ? 'line departs' : 'line', title: here.map((d) => d.text + (d.rfc ? ' (' + d.rfc + ')' : '')).join('\n') || null }, nodes), '\n');
    });
    return pre;
  }

  const diagList = (diags) => (diags.length ? S.el('ul', { class: 'diags' }, diags.map((d) => S.el('li', { class: d.sev },
    S.el('b', {}, d.sev), ' ', d.text, d.rfc ? S.el('span', { class: 'rfc' }, ' ' + d.rfc) : null, S.el('small', {}, ' ' + d.code + ' · ' + S.t('message.line', d.line + 1)))))
    : S.el('p', { class: 'none' }, S.t('message.nodiags')));

  // lively reports whether more may come of the call that is shown.
  const lively = (n) => n === num && Boolean(doc?.calls.some((c) => /^(unknown|calling|ringing|answered|challenged)$/.test(c.state)));

  return { show, choose, lively, number: () => num, chosen: () => chosen, beside, drop: () => { doc = null; num = 0; } };
};
