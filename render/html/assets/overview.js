// The overview's charts. Figures and tables are in the page already; a chart is drawn when it comes into sight.

S.Charts = (root) => {
  const drawn = new Map(); // element -> chart
  let options = {};

  // dress sets what depends on light or dark and on the page's policy: no HTML tooltips, for they carry inline styles.
  function dress(option) {
    const css = getComputedStyle(document.documentElement);
    const [text, line] = [css.getPropertyValue('--dim').trim(), css.getPropertyValue('--line').trim()];
    const axis = (a) => [].concat(a || []).map((x) => ({ ...x,
      axisLabel: { ...x.axisLabel, color: text }, axisLine: { ...x.axisLine, lineStyle: { color: line } }, splitLine: { ...x.splitLine, lineStyle: { color: line } }, nameTextStyle: { ...x.nameTextStyle, color: text } }));
    return { ...option, backgroundColor: 'transparent', animation: false, textStyle: { ...option.textStyle, color: text },
      legend: [].concat(option.legend || []).map((l) => ({ ...l, textStyle: { ...l.textStyle, color: text } })),
      tooltip: { ...option.tooltip, renderMode: 'richText' }, ...(option.xAxis ? { xAxis: axis(option.xAxis) } : {}), ...(option.yAxis ? { yAxis: axis(option.yAxis) } : {}) };
  }

  function paint(box) {
    const option = options[box.dataset.chart];
    box.style.height = box.dataset.height + 'px';
    if (!option || typeof echarts === 'undefined' || !box.clientWidth) return;
    let chart = drawn.get(box);
    if (!chart) {
      chart = echarts.init(box, null, { renderer: 'canvas' });
      drawn.set(box, chart);
    }
    chart.setOption(dress(option), true);
    box.classList.add('drawn');
  }

  const seen = new IntersectionObserver((entries) => {
    for (const e of entries) if (e.isIntersecting && !drawn.has(e.target)) paint(e.target);
  }, { rootMargin: '200px' });

  const resize = S.later(() => { for (const c of drawn.values()) c.resize(); }, 120);
  window.addEventListener('resize', resize);
  window.addEventListener('beforeprint', () => { for (const box of root.querySelectorAll('[data-chart]')) if (!drawn.has(box)) paint(box); });

  return {
    set(all) {
      options = all;
      for (const box of root.querySelectorAll('[data-chart]')) seen.observe(box);
      for (const box of drawn.keys()) {
        if (box.isConnected) paint(box);
        else {
          drawn.get(box).dispose();
          drawn.delete(box);
        }
      }
    },
    repaint() { for (const box of drawn.keys()) paint(box); },
  };
};

// overviewNodes makes the overview of a live page, in the form that the template gives that of a report.
S.overviewNodes = (o) => {
  const table = (title, pairs) => (pairs.length ? S.el('section', { class: 'facttable' }, S.el('h3', {}, title),
    S.el('table', {}, S.el('tbody', {}, pairs.map(([k, v]) => S.el('tr', {}, S.el('th', { scope: 'row' }, k), S.el('td', {}, v)))))) : null);
  const chart = (c) => S.el('figure', { class: 'chart' }, S.el('figcaption', {}, S.el('h3', {}, c.title), S.el('p', {}, c.about)),
    S.el('div', { class: 'canvas', 'data-height': c.height, 'data-chart': c.id, role: 'img', 'aria-label': c.title + '. ' + c.about }),
    S.el('details', {}, S.el('summary', {}, S.t('overview.table')), S.el('table', {}, S.el('thead', {}, S.el('tr', {}, c.columns.map((h, i) => S.el('th', { scope: 'col', class: c.numeric[i] ? 'num' : null }, h)))),
      S.el('tbody', {}, c.rows.map((r) => S.el('tr', {}, r.map((v, i) => S.el('td', { class: c.numeric[i] ? 'num' : null }, v))))))));
  const root = document.getElementById('overview');
  const open = new Set([...root.querySelectorAll('details[open]')].map((d) => d.parentElement.querySelector('[data-chart]')?.dataset.chart));
  const nodes = [S.el('h2', { class: 'offscreen' }, S.t('overview.title')),
    S.el('div', { class: 'keys' }, o.keys.map(([v, name]) => S.el('div', {}, S.el('b', {}, v), ' ', S.el('span', {}, name)))),
    S.el('div', { class: 'charts' }, o.charts.map(chart)), S.el('div', { class: 'facttables' }, o.tables.map((t) => table(t.title, t.rows)))];
  root.replaceChildren(...nodes);
  for (const d of root.querySelectorAll('figure details')) d.open = open.has(d.parentElement.querySelector('[data-chart]').dataset.chart);
};
