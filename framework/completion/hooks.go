package completion

import "sync"

// hookTable is the descriptors that belong to a completion port. It is one for
// the process, as descriptors are: none can be hooked to two ports, and none
// outlives its port.
type hookTable struct {
	mu    sync.Mutex
	table map[int]*descriptor
}

var hooks = hookTable{table: make(map[int]*descriptor)}

func (h *hookTable) add(d *descriptor) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	if _, ok := h.table[d.fd]; ok {
		return ErrAlreadyHooked
	}
	h.table[d.fd] = d
	return nil
}

func (h *hookTable) remove(fd int) {
	h.mu.Lock()
	delete(h.table, fd)
	h.mu.Unlock()
}

// of returns the descriptors of a worker.
func (h *hookTable) of(w *Worker) (all []*descriptor) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, d := range h.table {
		if d.worker == w {
			all = append(all, d)
		}
	}
	return all
}

// closeAll closes the descriptors that nobody has closed.
func (w *Worker) closeAll() {
	for _, d := range hooks.of(w) {
		_ = d.Close() // it was open
	}
}
