package completion

import "testing"

func TestQueue(t *testing.T) {
	var q, other opQueue
	ops := make([]*Overlapped, 4)
	for i := range ops {
		ops[i] = &Overlapped{slot: uint32(i)}
		q.push(ops[i])
	}
	if other.remove(ops[1]) {
		t.Error("removed from a queue that it is not in")
	}
	for _, i := range []int{1, 3} { // of the middle, the last
		if !q.remove(ops[i]) || q.remove(ops[i]) {
			t.Errorf("remove of %d does not tell whether it was there", i)
		}
	}
	q.pushFront(ops[3])
	q.push(ops[1])
	for _, want := range []int{3, 0, 2, 1} {
		if o := q.pop(); o != ops[want] {
			t.Fatalf("popped %v, want %d", o, want)
		}
	}
	if q.pop() != nil || !q.empty() {
		t.Error("the queue is not empty")
	}
}

// TestOpTable checks that a late answer does not reach the next operation in a slot.
func TestOpTable(t *testing.T) {
	var table opTable
	first, second := &Overlapped{}, &Overlapped{}
	table.add(first)
	old := table.generations[first.slot]
	if table.find(first.slot, old) != first {
		t.Error("an operation in flight is not found")
	}
	table.remove(first)
	table.add(second)
	if second.slot != first.slot {
		t.Fatal("the slot is not used again")
	}
	if table.find(second.slot, old) != nil {
		t.Error("the number of an operation that has ended leads to another")
	}
	if table.find(99, 0) != nil {
		t.Error("a slot that does not exist has an operation")
	}
}
