// A message taken apart for its parsed view. The text is what the raw view shows; what departs from the grammar was found
// by the program and comes with the message, so this needs to be no strict parser.

// parse gives the start line, the headers with the lines that they stand on, and the body's lines.
S.parse = (text) => {
  const lines = text.split('\n');
  const parts = { start: lines[0], headers: [], body: [], sdp: false };
  let i = 1;
  for (; i < lines.length && lines[i] !== ''; i++) {
    const line = lines[i];
    const folded = /^( |\\t)/.test(line) && parts.headers.length;
    if (folded) { // RFC 3261 7.3.1
      const h = parts.headers[parts.headers.length - 1];
      h.value += ' ' + line.replace(/^( |\\t)+/, '');
      h.to = i;
      continue;
    }
    const colon = line.indexOf(':');
    const name = colon < 0 ? '' : line.slice(0, colon).trim();
    parts.headers.push({ name: S.words.compact[name.toLowerCase()] || name, value: colon < 0 ? line : line.slice(colon + 1).trim(), from: i, to: i });
  }
  parts.body = lines.slice(i + 1).map((l, n) => ({ text: l, line: i + 1 + n }));
  while (parts.body.length && parts.body[parts.body.length - 1].text === '') parts.body.pop();
  const type = parts.headers.find((h) => h.name.toLowerCase() === 'content-type');
  parts.sdp = Boolean(type && /^application\/sdp/i.test(type.value) && parts.body.length);
  return parts;
};

// split cuts a value at a separator outside of quotes and angle brackets.
S.split = (value, separator) => {
  const pieces = [''];
  let quoted = false, depth = 0;
  for (let i = 0; i < value.length; i++) {
    const c = value[i];
    if (quoted && c === '\\' && i + 1 < value.length) {
      pieces[pieces.length - 1] += c + value[++i];
      continue;
    }
    if (c === '"') quoted = !quoted;
    else if (!quoted && c === '<') depth++;
    else if (!quoted && c === '>') depth = Math.max(0, depth - 1);
    if (c === separator && !quoted && !depth) pieces.push('');
    else pieces[pieces.length - 1] += c;
  }
  return pieces.map((p) => p.trim());
};

S.headerTable = (parts, diags) => {
  const said = (from, to) => diags.filter((d) => d.line >= from && d.line <= to).map((d) => S.el('tr', { class: 'diag ' + d.sev }, S.el('td', {}, d.sev),
    S.el('td', {}, d.text, d.rfc ? S.el('span', { class: 'rfc' }, ' ' + d.rfc) : null)));
  const rows = [S.el('tr', { class: 'start' }, S.el('td', { colspan: 2 }, parts.start)), ...said(0, 0)];
  for (const h of parts.headers) {
    const credentials = /^(proxy-)?(authorization|authenticate)$|^www-authenticate$/i.test(h.name);
    const space = h.value.indexOf(' ');
    const [head, ...params] = credentials && space > 0 ? [h.value.slice(0, space), ...S.split(h.value.slice(space + 1), ',')]
      : /^(subject|server|user-agent|date|organization|call-id|warning|reason-phrase)$/i.test(h.name) || S.split(h.value, ',').length > 1 ? [h.value] : S.split(h.value, ';');
    rows.push(S.el('tr', {}, S.el('th', { scope: 'row' }, h.name), S.el('td', {}, head, params.length ? S.el('ul', {}, params.map((p) => {
      const at = p.indexOf('=');
      return S.el('li', {}, S.el('span', { class: 'w-a' }, at < 0 ? p : p.slice(0, at + 1)), at < 0 ? null : p.slice(at + 1));
    })) : null)), ...said(h.from, h.to));
  }
  const last = parts.headers.length ? parts.headers[parts.headers.length - 1].to : 0;
  rows.push(...said(last + 1, Infinity));
  return S.el('div', {}, S.el('table', { class: 'headers' }, S.el('tbody', {}, rows)),
    parts.body.length ? (parts.sdp ? S.sdpTable(parts.body) : S.el('pre', {}, parts.body.map((l) => l.text).join('\n'))) : null);
};

// sdpTable names the lines of a session description (RFC 4566 5).
S.sdpTable = (body) => S.el('table', { class: 'headers sdp' }, S.el('tbody', {}, body.map((l) => {
  const m = l.text.match(/^([a-z])=(.*)$/);
  return S.el('tr', { class: m && m[1] === 'm' ? 'media' : null }, S.el('th', { scope: 'row' }, m ? S.t('sdp.' + m[1]) : ''), S.el('td', {}, m ? m[2] : l.text, m ? null : ''));
})));
