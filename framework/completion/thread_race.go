//go:build race

package completion

type threadID = osThreadID

func currentThread() threadID { return osThread() }

// checkThread panics when what belongs to a worker is used on another thread.
// It is there under the race detector only, because it costs a system call.
func (w *Worker) checkThread() {
	if w.thread != currentThread() {
		panic("completion: used outside its worker; see Worker.Post")
	}
}
