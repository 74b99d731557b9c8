package completion

// window bounds the operations on one file that a kernel which does them itself
// has at a time; the others wait for their turn. It is of one worker, whose
// handles of the file share it.
//
// The kernel does what it cannot do asynchronously on threads of its own, bounded by
// Options.FileThreads. So a file on which every operation occupies one of
// these may have no more than its share of them in flight, as in the pool, or a file
// that hangs would leave none for the others.
type window struct {
	file     laneKey
	users    int // handles
	limit    int
	inFlight int
	waiting  opQueue
}

// asyncWindow is the least that a file may have in flight whose operations occupy
// no thread.
const asyncWindow = 128

// enter reports whether o may be handed to the kernel. Otherwise it waits in
// the window, and leave returns it.
func (w *window) enter(o *Overlapped) bool {
	if w.inFlight >= w.limit {
		w.waiting.push(o)
		return false
	}
	w.inFlight++
	return true
}

// leave notes that the kernel has ended an operation. It returns the one that is
// to be handed to it instead, nil if none waits.
func (w *window) leave() *Overlapped {
	o := w.waiting.pop()
	if o == nil {
		w.inFlight--
	}
	return o
}

// fileWindows is the windows of the files that a worker has open. Operations
// that occupy a thread whatever the file have windows of their own.
type fileWindows struct {
	share int // of the kernel's threads, for one file
	files map[laneKey]*window
	syncs map[laneKey]*window
}

func (f *fileWindows) init(threads int) {
	f.share = fileShare(threads)
	f.files = make(map[laneKey]*window)
	f.syncs = make(map[laneKey]*window)
}

// open gives a descriptor the windows of its file.
func (f *fileWindows) open(d *descriptor) {
	limit := f.share
	if d.async {
		limit = max(limit, asyncWindow)
	}
	d.window = openWindow(f.files, d.lane, limit)
	d.syncs = openWindow(f.syncs, d.lane, f.share)
}

func (f *fileWindows) close(d *descriptor) {
	closeWindow(f.files, d.window)
	closeWindow(f.syncs, d.syncs)
	d.window, d.syncs = nil, nil
}

func openWindow(table map[laneKey]*window, file laneKey, limit int) *window {
	w := table[file]
	if w == nil {
		w = &window{file: file, limit: limit}
		table[file] = w
	}
	w.users++
	w.limit = max(w.limit, limit)
	return w
}

func closeWindow(table map[laneKey]*window, w *window) {
	if w == nil {
		return
	}
	if w.users--; w.users == 0 {
		delete(table, w.file)
	}
}

// windowOf returns the window that o has to pass, nil if none.
func (d *descriptor) windowOf(o *Overlapped) *window {
	switch o.op {
	case opRead, opWrite, opWriteGather:
		return d.window
	case opSync:
		return d.syncs
	default:
		return nil
	}
}
