// Follows runs while they last.

let follower = null; // the one run that is followed

async function live() {
  const going = await ask('/api/live');
  if (!going.length) return [note('No run is in progress. Start one with `harness test`, then reload.')];
  return [element('ul', going.map((run) => element('li', link(run, `#live=${way(run)}`))))];
}

function progress(now, last) {
  const since = last ? (now.time - last.time) / 1e9 : 0, over = (one) => one.ok + one.fail + one.info;
  const rate = since > 0 ? Math.round((over(now) - over(last)) / since) + '/s' : '–';
  return pairs([['time', seconds(now.time)], ['rate', rate], ['ok', now.ok], ['fail', now.fail], ['info', now.info], ['in progress', now.invoked - over(now)]]);
}

// Newest first; evidence for a fault that is still active comes later.
const broken = (faults) => (faults.length ? table(['fault', 'target', 'when', 'seen', 'evidence'], [...faults].reverse().map((one) => row([
  one.name, one.target, one.ended === null ? 'since ' + seconds(one.started) : lasted(one), stateName(one.state), one.evidence])), 'faults') : note('No faults so far.'));

function follow(run) {
  const place = element('div', 'waiting…');
  let last = null;
  follower = new EventSource(`/api/live/${way(run)}`);
  follower.addEventListener('progress', ({ data }) => {
    const now = JSON.parse(data);
    place.replaceChildren(progress(now, last), part('Faults', broken(now.faults)));
    last = now;
  });
  follower.addEventListener('verdict', () => { follower.close(); location.hash = `run=${way(run)}`; });
  return [element('h2', run), place];
}
