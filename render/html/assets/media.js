// The media of a call: what was found, a table of its RTP streams, and charts of their seconds.

S.mediaTitle = (calls) => {
  const n = calls.reduce((sum, c) => sum + (c.media ? c.media.streams.length + (c.media.more || 0) : 0), 0);
  const bad = calls.some((c) => c.media?.findings.some(([severity]) => severity === 'error'));
  return S.t('media.title') + ' · ' + S.t(n === 1 ? 'media.stream' : 'media.streams', n) + (bad ? ' · ' + S.t('media.bad') : '');
};

S.mediaNodes = (call) => {
  const m = call.media;
  if (!m) return null;
  const heads = ['num', 'from', 'to', 'codec', 'packets', 'lost', 'missing', 'loss', 'duplicates', 'reordered', 'jitter', 'max_jitter', 'mos', 'dtmf'];
  const numeric = (i) => (i === 0 || (i >= 4 && i <= 12) ? 'num' : null);
  const findings = m.findings.length ? S.el('ul', { class: 'findings', 'aria-label': S.t('media.findings') }, m.findings.map(([severity, text, frame]) =>
    S.el('li', { class: severity }, S.el('b', {}, severity), ' ', text, frame ? S.el('small', {}, ' ' + S.t('call.frame', frame)) : null))) : null;
  const table = m.streams.length ? S.el('div', { class: 'streams' }, S.el('table', {},
    S.el('thead', {}, S.el('tr', {}, heads.map((h, i) => S.el('th', { scope: 'col', class: numeric(i) }, S.t('stream.' + h))))),
    S.el('tbody', {}, m.streams.map((r) => S.el('tr', {}, r.map((v, i) => S.el('td', { class: numeric(i) }, v))))))) : null;
  const charts = typeof echarts === 'undefined' || !m.charts.length ? null : S.el('details', { class: 'overtime' }, S.el('summary', {}, S.t('media.time')), S.el('div', { class: 'charts' }, m.charts.map((c) => S.el('figure', { class: 'chart' },
    S.el('figcaption', {}, S.el('h3', {}, c.title), S.el('p', {}, c.about)),
    S.el('div', { class: 'canvas', 'data-height': c.height, 'data-chart': c.id, role: 'img', 'aria-label': c.title + '. ' + c.about })))));
  return S.el('div', { class: 'media' }, findings, table, m.more ? S.el('p', { class: 'hint' }, S.t('media.more', m.more)) : null, charts);
};
