// Where calls come from: the blocks inside a report, or the server of a live page. Both answer the same questions:
//   page(query)  -> {total, of, rows}   query: {text, state, method, code, host, user, expr, sort, desc, offset, limit}
//   flow(num)    -> the document of a call, null when it was left out
//   beside(num, step) -> the number of the call before or behind in the list's order, 0 for none

S.unpack = async (id) => {
  const packed = new Blob([S.base85(document.getElementById(id).textContent)]);
  return JSON.parse(await new Response(packed.stream().pipeThrough(new DecompressionStream('deflate-raw'))).text());
};

// base85 reads the bytes of a block: five digits are four bytes, a rest of n digits is n - 1 bytes.
S.base85 = (text) => {
  const digits = '0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz!#$%()*+,-./:;=?@[]^_{}';
  const value = new Uint8Array(128);
  for (let i = 0; i < 85; i++) value[digits.charCodeAt(i)] = i;
  const bytes = new Uint8Array(Math.floor(text.length / 5) * 4 + Math.max(0, text.length % 5 - 1));
  for (let i = 0, at = 0; i < text.length; i += 5) {
    let v = 0;
    for (let j = 0; j < 5; j++) v = v * 85 + (i + j < text.length ? value[text.charCodeAt(i + j)] : 84);
    for (let shift = 24; shift >= 0 && at < bytes.length; shift -= 8) bytes[at++] = Math.floor(v / 2 ** shift) & 255;
  }
  return bytes;
};

// codes reads "486, 5xx, 18" as a test of a status: a class, or what it begins with; null for no condition.
S.codes = (text) => {
  const begins = text.toLowerCase().split(/[\s,]+/).map((w) => w.replace(/x+$/, '')).filter((w) => /^\d{1,3}$/.test(w));
  return begins.length ? (code) => begins.some((b) => String(code ?? '').startsWith(b)) : null;
};

S.reportSource = (meta) => {
  let rows = null;
  let order = []; // of the last page(): numbers
  const chunks = new Map();

  const load = async () => {
    if (rows) return rows;
    const all = [];
    for (let i = 0; i < meta.row_blocks; i++) all.push(...await S.unpack('rows-' + i));
    all.forEach((r, i) => {
      r.index = i;
      r.hosts = [r.source, r.destination, r.from.host, r.to.host].join('\n').toLowerCase();
      r.users = [r.from.user, r.to.user, r.from.display, r.to.display].join('\n').toLowerCase();
      r.text = [r.hosts, r.users, r.call_id, r.ruri, r.code, r.reason, r.method, r.state, r.user_agent, r.server, r.from.uri, r.to.uri].join('\n').toLowerCase();
    });
    rows = all;
    return rows;
  };

  const values = {
    num: (r) => r.num, start: (r) => r.start, method: (r) => r.method, state: (r) => r.state, code: (r) => r.code ?? -1,
    from: (r) => S.party(r.from), to: (r) => S.party(r.to), messages: (r) => r.messages,
    pdd: (r) => r.pdd_ms ?? -1, setup: (r) => r.setup_ms ?? -1, duration: (r) => r.duration_ms ?? -1,
    source: (r) => r.source ?? '', destination: (r) => r.destination ?? '',
    notes: (r) => r.retransmissions + r.gaps + r.diags,
  };

  const matching = (all, q) => {
    const words = (q.text || '').toLowerCase().split(/\s+/).filter(Boolean);
    const code = S.codes(q.code || '');
    const host = (q.host || '').toLowerCase().trim();
    const user = (q.user || '').toLowerCase().trim();
    return all.filter((r) => words.every((w) => r.text.includes(w)) && (!q.state || r.state === q.state)
      && (!q.method || r.method === q.method) && (!code || code(r.code)) && (!host || r.hosts.includes(host)) && (!user || r.users.includes(user)));
  };

  return {
    async choices() {
      const all = await load();
      const unique = (f) => [...new Set(all.map(f))].filter(Boolean).sort();
      return { states: unique((r) => r.state), methods: unique((r) => r.method) };
    },
    async page(q) {
      const all = await load();
      let found = matching(all, q);
      if (q.sort && (q.sort !== 'num' || q.desc)) {
        const v = values[q.sort];
        const sign = q.desc ? -1 : 1;
        found = found.slice().sort((a, b) => {
          const x = v(a), y = v(b);
          return (x < y ? -1 : x > y ? 1 : a.index - b.index) * sign;
        });
      }
      order = found;
      return { total: found.length, of: meta.calls, rows: found.slice(q.offset, q.offset + q.limit) };
    },
    async flow(num) {
      const all = await load();
      const row = all.find((r) => r.num === num);
      if (!row) throw new Error(S.t('call.missing', num));
      const n = Math.floor(row.index / meta.chunk);
      if (row.index >= meta.detailed) return null;
      if (!chunks.has(n)) {
        if (chunks.size > 8) chunks.delete(chunks.keys().next().value);
        chunks.set(n, S.unpack('chunk-' + n));
      }
      return (await chunks.get(n))[row.index % meta.chunk];
    },
    async beside(num, step) {
      const all = order.length ? order : await load();
      const at = all.findIndex((r) => r.num === num);
      return all[at + step]?.num || 0;
    },
    downloads: () => [],
    changed() {},
  };
};

// A live page asks its server.
S.liveSource = (meta) => {
  const base = meta.base;
  let last = { order: [], offset: 0 };
  const json = async (path) => {
    const answer = await fetch(base + path, { headers: { accept: 'application/json' } });
    const body = await answer.json().catch(() => ({}));
    if (!answer.ok) throw new Error([body.detail || body.title || answer.statusText, body.hint].filter(Boolean).join(': '));
    return body;
  };
  const quote = (s) => JSON.stringify(s);
  const address = /^[0-9.]+(\/\d+)?$|^[0-9a-f]*:[0-9a-f:.]+(\/\d+)?$/i;

  // filter writes the query in the filter language (sipscope help filters).
  const filter = (q) => {
    const all = [];
    for (const w of (q.text || '').toLowerCase().split(/\s+/).filter(Boolean)) {
      const tests = ['from', 'to', 'from.name', 'to.name', 'callid', 'ruri', 'ua', 'server'].map((f) => 'lower(' + f + ') contains ' + quote(w));
      if (address.test(w) && /[.:]/.test(w) && w.length > 6) tests.push('ip(' + quote(w) + ')');
      all.push('(' + tests.join(' or ') + ')');
    }
    if (q.state) all.push('state == ' + quote(q.state));
    if (q.method) all.push('method == ' + quote(q.method));
    const codes = (q.code || '').toLowerCase().split(/[\s,]+/).filter(Boolean)
      .map((c) => (/^\dxx$/.test(c) ? 'class == ' + c[0] : /^\d{3}$/.test(c) ? 'status == ' + c : '')).filter(Boolean);
    if (codes.length) all.push('(' + codes.join(' or ') + ')');
    const host = (q.host || '').trim();
    if (host) {
      all.push(address.test(host) ? 'ip(' + quote(host) + ')'
        : '(lower(from.host) contains ' + quote(host.toLowerCase()) + ' or lower(to.host) contains ' + quote(host.toLowerCase()) + ')');
    }
    const user = (q.user || '').trim().toLowerCase();
    if (user) all.push('(lower(from.user) contains ' + quote(user) + ' or lower(to.user) contains ' + quote(user) + ')');
    const expr = (q.expr || '').trim();
    if (!expr) return all.join(' and ');
    if (!all.length) return expr;
    return '(' + expr + ') and ' + all.join(' and ');
  };

  const params = (q) => new URLSearchParams(Object.entries({
    filter: filter(q), sort: q.sort === 'notes' ? 'retransmissions' : q.sort || '', order: q.desc ? 'desc' : 'asc', offset: q.offset, limit: q.limit,
  }).filter(([, v]) => v !== ''));

  return {
    async choices() {
      return {
        states: ['answered', 'busy', 'calling', 'cancelled', 'challenged', 'completed', 'declined', 'failed', 'not_found', 'pending', 'redirected',
          'registered', 'ringing', 'subscribed', 'succeeded', 'terminated', 'timed_out', 'unknown', 'unregistered'],
        methods: ['INVITE', 'REGISTER', 'OPTIONS', 'SUBSCRIBE', 'NOTIFY', 'MESSAGE', 'PUBLISH', 'INFO', 'REFER', 'BYE'],
      };
    },
    async page(q) {
      const p = await json('/api/v1/calls?' + params(q));
      last = { order: p.calls.map((c) => c.num), offset: q.offset };
      return { total: p.total, of: p.of, rows: p.calls };
    },
    flow: (num) => json('/api/v1/calls/' + num + '/page'),
    async beside(num, step) {
      const at = last.order.indexOf(num);
      return at >= 0 ? last.order[at + step] || 0 : Math.max(0, num + step);
    },
    overview: () => json('/api/v1/overview'),
    downloads: (num) => [['pcapng', 'call.download.pcap'], ['text', 'call.download.text'], ['mermaid', 'call.download.mermaid'], ['json', 'call.download.json']]
      .map(([format, word]) => [base + '/api/v1/calls/' + num + '/download?format=' + format, word]),
    listDownload: (q, format) => base + '/api/v1/download?' + new URLSearchParams({ filter: filter(q), format }),
    // listen calls f(name, data) for each event of the server.
    listen(f) {
      const events = new EventSource(base + '/api/v1/events');
      for (const name of ['state', 'calls', 'many', 'reload']) events.addEventListener(name, (e) => f(name, JSON.parse(e.data || '{}')));
      events.addEventListener('error', () => f('lost', {}));
      events.addEventListener('open', () => f('open', {}));
    },
  };
};

// A page with one ladder has its document inside.
S.singleSource = () => ({
  flow: () => S.unpack('chunk-0'),
  beside: async () => 0,
  downloads: () => [],
});
