// Package interp runs the threads of gopher-lua by a loop of its own, which takes about half the time of gopher-lua's to compute.
//
// # What is gopher-lua's
//
// Nearly everything: the compiler and its instructions, the state, the stack of calls, the registers, tables,
// upvalues, coroutines, errors and tracebacks. The loop works on those structures as it finds
// them and leaves them as gopher-lua would, after each instruction: so a function of the host, a coroutine, a protected
// call or a traceback cannot tell which loop has run, and the same thread can be run by both. A thread has its
// loop in a field, mainLoop, which [Machine.Install] sets.
//
// Most of the structures' fields are not exported. layout.go has them written down again, and a pointer to the one
// is read as a pointer to the other. When the program starts, reflection compares each field, its name, its offset and
// its type, down to the last one: if anything differs nothing is installed, and threads keep gopher-lua's loop.
// TestLayout fails then. No symbol of gopher-lua is linked to that it does not export.
//
// # How it is faster
//
//   - One switch, in one function, instead of a table of functions: what an instruction needs is in local variables.
//   - The budget is a counter, not a context that is asked whether it is done. [Count] has what is left;
//     when it comes to Due, tick looks at the clock and the memory.
//   - Whole numbers below 16,384 are made once, others 64 at a time.
//   - "%" of whole numbers is a division of integers.
//   - Fields, elements and comparisons are looked up in the tables here; what has a metamethod goes to gopher-lua's
//     exported functions (GetField, SetTable, LessThan …), which raise its errors.
//
// Registers are read and written with Go's checks of bounds, so a wrong instruction is a panic and no damage.
//
// # What must hold
//
// Where an instruction is (Pc) is stored before it runs, as whatever it calls may raise an error or write a
// traceback. The top of the registers is exact after each instruction, since the next may take
// "all values up to the top". Registers above the top may be read: the compiler makes such code.
// Each instruction is counted before it runs, and a call that one makes in a loop of its own (an iterator, a metamethod) is
// a loop here too, so that a yield finds out that it cannot cross it.
//
// # Where it differs
//
// On purpose, in two things. An instruction counts more than one if strings that are compared, or are keys, are long, and if
// the length of a table is taken that ends in many nils. And the bounds of a numeric loop may be numbers as text.
//
// # Files
//
// layout.go has the structures and their comparison, machine.go what the host sees, loop.go the switch, calls.go calls and
// returns, registry.go the registers, upvalues.go closures, and numbers.go, tables.go and compare.go the
// operators.
package interp
