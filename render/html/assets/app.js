// The page: which view is shown, what its address says, keys, theme, and the server's events on a live page.

(() => {
  const meta = JSON.parse(document.getElementById('meta').textContent);
  const live = Boolean(meta.live);
  S.single = Boolean(meta.single);
  const source = live ? S.liveSource(meta) : S.single ? S.singleSource() : S.reportSource(meta);
  const views = Object.fromEntries(['overview', 'calls', 'call'].map((v) => [v, document.getElementById(v)]));
  const tabs = [...document.querySelectorAll('nav a[data-view]')];

  // link is the address of a call (0: the list) and a message; a report has it behind the "#".
  S.link = (num, message) => {
    const m = message === undefined || message < 0 ? '' : 'm=' + message;
    if (live) return num ? meta.base + '/calls/' + num + (m && '?' + m) : meta.base + '/calls';
    return num ? '#call=' + num + (m && '&' + m) : '#calls';
  };

  function where() {
    if (S.single) return { view: 'call', num: 1, message: Number(new URLSearchParams(location.hash.slice(1)).get('m') ?? -1) };
    if (live) {
      const path = location.pathname.slice(meta.base.length);
      const call = path.match(/^\/calls\/(\d+)$/);
      const message = Number(new URLSearchParams(location.search).get('m') ?? -1);
      return call ? { view: 'call', num: Number(call[1]), message } : { view: path.startsWith('/calls') ? 'calls' : 'overview' };
    }
    const p = new URLSearchParams(location.hash.slice(1));
    if (p.has('call')) return { view: 'call', num: Number(p.get('call')), message: Number(p.get('m') ?? -1) };
    return { view: location.hash === '#calls' ? 'calls' : 'overview' };
  }

  function show() {
    const w = where();
    for (const [name, section] of Object.entries(views)) if (section) section.hidden = name !== w.view;
    for (const tab of tabs) {
      if (tab.dataset.view === (w.view === 'call' ? 'calls' : w.view)) tab.setAttribute('aria-current', 'page');
      else tab.removeAttribute('aria-current');
    }
    if (w.view === 'calls') list.show();
    if (w.view === 'call') flow.show(w.num, w.message, false);
    if (w.view === 'overview') charts?.set(options);
  }

  function go(num, message, call) {
    if (call !== undefined) S.chosenCall = call;
    const url = S.single ? (message >= 0 ? '#m=' + message : '#') : S.link(num, message);
    // within a call the back key leaves the call, not one message after the other
    if (where().num === num && where().view === 'call') history.replaceState(null, '', url);
    else history.pushState(null, '', url);
    show();
  }

  const flow = S.FlowView(views.call, source, go);
  const list = views.calls ? S.ListView(views.calls, source, (num) => go(num, -1)) : null;
  const charts = views.overview ? S.Charts(views.overview) : null;
  let options = JSON.parse(document.getElementById('charts')?.textContent || '{}');
  S.list = list;

  document.addEventListener('click', (e) => {
    const a = e.target.closest('a[href]');
    if (!a || e.defaultPrevented || e.button !== 0 || e.ctrlKey || e.metaKey || e.shiftKey || a.hasAttribute('download')) return;
    const href = a.getAttribute('href');
    const mine = live ? href.startsWith(meta.base + '/calls') || href === meta.base + '/' : href.startsWith('#') && href !== '#main';
    if (!mine) return;
    e.preventDefault();
    if (a.getAttribute('href') !== location.pathname + location.search) history.pushState(null, '', href);
    show();
  });
  window.addEventListener('popstate', show);
  window.addEventListener('hashchange', show);

  document.addEventListener('keydown', (e) => {
    if (e.ctrlKey || e.metaKey || e.altKey || /^(INPUT|SELECT|TEXTAREA)$/.test(e.target.tagName)) {
      if (e.key === 'Escape' && e.target.tagName === 'INPUT') e.target.blur();
      return;
    }
    const w = where();
    if (e.key === '/' && list) {
      e.preventDefault();
      if (w.view !== 'calls') { history.pushState(null, '', S.link(0)); show(); }
      list.focusSearch();
    } else if (e.key === 'Escape' && w.view === 'call') {
      if (flow.chosen() >= 0) go(w.num, -1);
      else if (!S.single) { history.pushState(null, '', S.link(0)); show(); }
    } else if (e.key === '[' || e.key === ']') {
      if (w.view === 'call' && !S.single) flow.beside(e.key === ']' ? 1 : -1);
    }
  });

  // theme: what the system prefers, until the button says otherwise; kept where the browser lets us
  const stored = (() => { try { return localStorage.getItem('sipscope-theme'); } catch { return null; } })();
  if (stored === 'light' || stored === 'dark') document.documentElement.dataset.theme = stored;
  document.getElementById('theme').addEventListener('click', () => {
    const dark = getComputedStyle(document.documentElement).getPropertyValue('--dark').trim() === '1';
    document.documentElement.dataset.theme = dark ? 'light' : 'dark';
    try { localStorage.setItem('sipscope-theme', document.documentElement.dataset.theme); } catch { /* a file without storage */ }
    charts?.repaint();
  });
  matchMedia('(prefers-color-scheme: dark)').addEventListener('change', () => charts?.repaint());
  document.getElementById('print').addEventListener('click', () => window.print());

  function listen() {
    const status = document.getElementById('live');
    let lastOverview = 0, waiting = false;
    const overview = () => {
      if (waiting || where().view !== 'overview') return;
      waiting = true;
      setTimeout(async () => {
        waiting = false;
        lastOverview = Date.now();
        try {
          const o = await source.overview();
          S.overviewNodes(o);
          options = Object.fromEntries(o.charts.map((c) => [c.id, c.option]));
          charts.set(options);
        } catch { /* the next event asks again */ }
      }, Math.max(0, 2000 - (Date.now() - lastOverview)));
    };
    source.listen((name, data) => {
      if (name === 'lost') {
        status.textContent = S.t('live.lost');
        status.className = 'lost';
        return;
      }
      if (name === 'open' || name === 'reload') {
        list.stale();
        overview();
        return;
      }
      if (name === 'state') {
        const p = data.progress || {};
        status.className = data.done ? 'done' : 'live';
        status.textContent = data.done ? S.t('live.done') : p.total > 0 ? S.t('live.reading', Math.min(100, Math.floor(p.done * 100 / p.total))) : data.live ? data.live.line : S.t('live.live');
        overview();
        return;
      }
      const w = where();
      if (name === 'calls') {
        if (w.view === 'calls') list.merge(data.calls);
        if (w.view === 'call' && data.calls.some((c) => c.num === w.num)) flow.show(w.num, w.message, true);
      } else if (w.view === 'calls') list.stale();
      overview();
    });
    // Packets of media are no change of a call that the server tells of: who looks at one asks, and what is the same stays.
    let once = false;
    const media = setInterval(() => {
      const w = where(), on = w.view === 'call' && flow.lively(w.num);
      if (status.classList.contains('done')) clearInterval(media);
      else if (w.view === 'call' && !document.hidden && (on || once)) flow.show(w.num, w.message, true);
      once = on; // what was on its way when it ended
    }, 2000);
    overview();
  }

  show();
  if (live) listen();
  document.documentElement.classList.add('ready');
})();
