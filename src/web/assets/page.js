// Keeps the page as new as what it shows, says so when it cannot, and gives it keys. Without it everything is there all the same.
(() => {
  const $ = id => document.getElementById(id);
  let heard = Date.now(), spoke = 0, busy = false, again = false;
  const say = words => {
    if (Date.now() - spoke < 10000 || $('live').textContent === words) return;
    spoke = Date.now();
    $('live').textContent = words;
  };
  const editing = () => /^(INPUT|SELECT|TEXTAREA)$/.test(document.activeElement.tagName);
  const named = (root, old) => old.id ? root.querySelector('#' + CSS.escape(old.id))
    : old.getAttribute('href') && [...root.querySelectorAll('a')].find(a => a.getAttribute('href') === old.getAttribute('href'));

  async function load() {
    if (busy) { again = true; return; }
    busy = true;
    try {
      const answer = await fetch(location.href);
      if (!answer.ok) throw answer.status;
      const next = new DOMParser().parseFromString(await answer.text(), 'text/html');
      const from = next.getElementById('main'), to = $('main'), focus = document.activeElement;
      heard = Date.now();
      // Nothing is taken from under a hand that writes or marks.
      if (!(to.contains(focus) && editing()) && getSelection().isCollapsed) {
        for (const open of to.querySelectorAll('details[open]')) {
          const same = named(from, open);
          if (same) same.open = true;
        }
        const had = to.contains(focus) && focus !== to;
        to.replaceWith(from);
        if (had) (named(from, focus) || from).focus({ preventScroll: true });
        $('made').replaceWith(next.getElementById('made'));
        document.body.className = next.body.className;
        if (next.title !== document.title) say(from.querySelector('h1').textContent);
        document.title = next.title;
        const icon = 'link[rel=icon]';
        document.querySelector(icon).href = next.querySelector(icon).href;
      }
    } catch { /* the age tells it */ }
    busy = false;
    if (again) setTimeout(load, 1000), again = false;
  }

  function age() {
    const seconds = Math.round((Date.now() - heard) / 1000), old = seconds >= 29;
    if (old) document.body.classList.add('stale');
    $('age').textContent = old ? `This page is ${seconds} s old: the monitor does not answer.` : '';
    if (old) say('This page is old: the monitor does not answer.');
  }

  if ('live' in document.body.dataset) {
    setInterval(age, 1000);
    setInterval(() => document.hidden || load(), 10000);
    document.addEventListener('visibilitychange', () => document.hidden || load());
    if (!document.body.classList.contains('public')) {
      const events = new EventSource('/api/v1/events');
      let soon = 0;
      const come = () => { clearTimeout(soon); soon = setTimeout(load, 300); };
      for (const kind of ['message', 'change', 'reset']) events.addEventListener(kind, come);
    }
  }

  function keys() {
    let box = $('keys');
    if (!box) {
      box = document.body.appendChild(document.createElement('dialog'));
      box.id = 'keys';
      box.setAttribute('aria-label', 'Keys');
      const rows = { '/': 'search', j: 'next row', k: 'row before', Enter: 'open the row', '?': 'these keys', Esc: 'close' };
      for (const key in rows) {
        const line = box.appendChild(document.createElement('p'));
        line.appendChild(document.createElement('kbd')).textContent = key;
        line.append(' ' + rows[key]);
      }
    }
    if (box.open) box.close(); else box.showModal();
  }

  document.addEventListener('keydown', event => {
    if (event.ctrlKey || event.metaKey || event.altKey || editing()) return;
    const rows = [...document.querySelectorAll('a[data-row]')], at = rows.indexOf(document.activeElement);
    const go = to => { if (rows[to]) rows[to].focus(); };
    if (event.key === '/') { if ($('q')) $('q').focus(); else location.href = '/apis'; }
    else if (event.key === 'j') go(at + 1);
    else if (event.key === 'k') go(at - 1);
    else if (event.key === '?') keys();
    else return;
    event.preventDefault();
  });
})();
