/* The page works without this: it adds the filter, running clocks and a calm reload. */
(function () {
'use strict';
var root = document.documentElement, box = document.getElementById('q'),
	found = document.getElementById('found'), none = document.getElementById('none'),
	pause = document.getElementById('pause'), words = [pause.textContent, pause.dataset.resume],
	rows = Array.from(document.querySelectorAll('[data-run]')),
	clocks = Array.from(document.querySelectorAll('[data-elapsed]')),
	every = root.dataset.every * 1000,
	paused = false, typed = -1e9, composing = false, pressed = false;

/*
 * What a reload keeps lies in history.state. Not in sessionStorage: Chromium 156 loses that of a file:
 * page in 1 to 5 of 100 reloads. Nor may it be saved as late as pagehide: then it is always lost.
 */
function keep(state) {
	try {
		history.replaceState(state, '', '#' + (box.value ? 'q=' + encodeURIComponent(box.value) : ''));
	} catch (e) {} /* a browser that counts such calls: the next one succeeds */
}

function save() {
	var state = { q: box.value, paused: paused, open: [], y: scrollY }, at = document.activeElement;
	document.querySelectorAll('details[open][id]').forEach(function (d) {
		state.open.push(d.id);
	});
	if (at && at.id) {
		state.focus = at.id;
		state.caret = at === box ? [box.selectionStart, box.selectionEnd] : null;
	}
	/* New rows come in above: what stands at the top of the window stays there. */
	if (scrollY > 0) {
		var first = rows.find(function (r) {
			return !r.hidden && r.getBoundingClientRect().bottom > 0;
		});
		if (first)
			state.first = [first.id, first.getBoundingClientRect().top];
	}
	keep(state);
}

function plain(text) {
	return text.normalize('NFKC').toLowerCase();
}

function filter() {
	var wanted = plain(box.value).split(/\s+/).filter(Boolean), shown = 0;
	rows.forEach(function (row) {
		if (wanted.length && row.plain === undefined)
			row.plain = plain(row.textContent);
		row.hidden = !wanted.every(function (word) {
			return row.plain.includes(word);
		});
		shown += !row.hidden;
	});
	found.value = wanted.length ? shown + ' / ' + rows.length : '';
	none.hidden = !wanted.length || shown > 0;
	root.dataset.shown = shown;
}

function from_hash() {
	var hash = /^#q=(.*)$/.exec(location.hash);
	if (!hash)
		return false;
	try {
		box.value = decodeURIComponent(hash[1]);
	} catch (e) {
		box.value = hash[1];
	}
	filter();
	return true;
}

function set_paused(on) {
	paused = on;
	pause.textContent = words[+on];
	root.classList.toggle('paused', on);
}

function restore() {
	var state = history.state || {};
	if (!from_hash()) {
		box.value = state.q || '';
		filter();
	}
	set_paused(!!state.paused);
	(state.open || []).forEach(function (id) {
		var d = document.getElementById(id);
		if (d)
			d.open = true;
	});
	var at = state.focus && document.getElementById(state.focus);
	if (at) {
		at.focus({ preventScroll: true });
		if (at === box && state.caret)
			box.setSelectionRange(state.caret[0], state.caret[1]);
	}
	if (!state.y)
		return;
	scrollTo(0, state.y);
	var row = state.first && document.getElementById(state.first[0]);
	if (row && !row.hidden)
		scrollBy(0, row.getBoundingClientRect().top - state.first[1]);
}

/* Never under somebody's hands: typing, composing, selecting, pressing. */
function busy() {
	return paused || document.hidden || composing || pressed || performance.now() - typed < 10000 ||
		String(getSelection()) !== '';
}

function two(n) {
	return (n < 10 ? '0' : '') + n;
}

function tick() {
	if (!paused) {
		var since = Math.max(0, (Date.now() - root.dataset.rendered) / 1000);
		clocks.forEach(function (c) {
			var s = Math.floor(+c.dataset.elapsed + since);
			c.textContent = two(Math.floor(s / 3600)) + ':' + two(Math.floor(s / 60) % 60) + ':' +
				two(s % 60);
		});
	}
	if (performance.now() >= every && !busy()) {
		save();
		location.reload();
	}
}

/* What to type on this machine: the page lies at the top of the mount. */
function door() {
	var code = document.getElementById('door'), at = location.pathname.replace(/[^/]*$/, '');
	if (!code || location.protocol !== 'file:')
		return;
	try {
		at = decodeURIComponent(at);
	} catch (e) {
		return;
	}
	code.textContent = code.textContent.replace('queue/', function () {
		return /^[\w@%+=:,./-]+$/.test(at) ? at + 'queue/' : "'" + at.replace(/'/g, "'\\''") + "queue/'";
	});
}

if ('scrollRestoration' in history)
	history.scrollRestoration = 'manual';
pause.hidden = false;
document.querySelector('.find').hidden = rows.length === 0;
box.addEventListener('input', function () {
	typed = performance.now();
	filter();
	keep(history.state);
});
box.addEventListener('keydown', function () {
	typed = performance.now();
});
pause.addEventListener('click', function () {
	set_paused(!paused);
	save();
});
document.addEventListener('compositionstart', function () {
	composing = true;
});
document.addEventListener('compositionend', function () {
	composing = false;
});
addEventListener('pointerdown', function () {
	pressed = true;
});
['pointerup', 'pointercancel', 'blur'].forEach(function (name) {
	addEventListener(name, function () {
		pressed = false;
	});
});
addEventListener('hashchange', from_hash);
addEventListener('beforeunload', save);
addEventListener('pagehide', function () {
	pressed = false; /* it may come back from the browser's cache */
});
restore();
door();
tick();
setInterval(tick, 1000);
root.dataset.script = 'ran';
})();
