// Follows runs while they last.

let follower = null; // the one run that is followed

async function live() {
  const going = await ask('/api/live');
  if (!going.length) return [note('No run is going on. Start one with `harness test`, then look again.')];
  return [element('ul', going.map((run) => element('li', link(run, `#live=${way(run)}`))))];
}

function progress(now, last) {
  const since = last ? (now.time - last.time) / 1e9 : 0, over = (one) => one.ok + one.fail + one.info;
  const rate = since > 0 ? Math.round((over(now) - over(last)) / since) + '/s' : '–';
  return pairs([['time', seconds(now.time)], ['rate', rate], ['ok', now.ok], ['fail', now.fail], ['info', now.info], ['under way', now.invoked - over(now)], ['last fault', now.nemesis ?? '–']]);
}

function follow(run) {
  const place = element('div', 'waiting…', { role: 'status' });
  let last = null;
  follower = new EventSource(`/api/live/${way(run)}`);
  follower.addEventListener('progress', ({ data }) => {
    const now = JSON.parse(data);
    place.replaceChildren(progress(now, last));
    last = now;
  });
  follower.addEventListener('verdict', () => { follower.close(); location.hash = `run=${way(run)}`; });
  return [element('h2', run), place];
}
