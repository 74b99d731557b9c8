package interp

import (
	lua "github.com/yuin/gopher-lua"

	"fwx/scripting/internal/number"
)

// The parts of an instruction, from its lowest bits: B or Bx, C, A, and the opcode. Operands from constants on
// are constants.
const (
	maskB       = 0x1ff
	shiftC      = 9
	maskBx      = 0x3ffff
	middleBx    = maskBx >> 1 // where a signed Bx is 0
	shiftA      = 18
	maskA       = 0xff
	shiftOpcode = 26
	constants   = 0x100
)

// operand is a register or a constant.
func operand(regs, consts []lua.LValue, i int) lua.LValue {
	if i&constants != 0 {
		return consts[i&^constants]
	}
	return regs[i]
}

// execute runs the innermost call of a thread, and those that it makes, until base has returned. Where an instruction is
// is stored before it runs, so whatever it calls finds it there.
//
// An instruction that has a value for register A sets v and leaves the switch; the others continue.
func (m *Machine) execute(L *lua.LState, t *thread, base *frame) {
	count, rg := m.count, t.reg
enter:
	cf := t.currentFrame
	proto := prototypeOf(cf.Fn.Proto)
	code, consts, pc := proto.Code, proto.Constants, cf.Pc
	regs := rg.window(cf)
	for {
		inst := code[pc]
		pc++
		cf.Pc = pc
		if count.Left--; count.Left <= count.Due {
			if err := m.tick(); err != nil {
				L.RaiseError("%s", err.Error())
				return
			}
		}
		a := int(inst>>shiftA) & maskA
		var v lua.LValue
		switch opcode := int(inst >> shiftOpcode); opcode {
		case lua.OP_MOVE:
			v = regs[inst&maskB]
		case lua.OP_MOVEN:
			rg.set(L, cf.LocalBase+a, regs[inst&maskB])
			for range int(inst>>shiftC) & maskB {
				inst = code[pc]
				pc++
				rg.set(L, cf.LocalBase+int(inst>>shiftA)&maskA, rg.array[cf.LocalBase+int(inst&maskB)])
			}
			regs = rg.window(cf)
			continue
		case lua.OP_LOADK:
			v = consts[inst&maskBx]
		case lua.OP_LOADBOOL:
			v = boolean(inst&maskB != 0)
			if inst>>shiftC&maskB != 0 {
				pc++
			}
		case lua.OP_LOADNIL:
			for i := a; i <= int(inst&maskB); i++ {
				rg.set(L, cf.LocalBase+i, lua.LNil)
			}
			regs = rg.window(cf)
			continue
		case lua.OP_GETUPVAL:
			v = cf.Fn.Upvalues[inst&maskB].Value()
		case lua.OP_SETUPVAL:
			cf.Fn.Upvalues[inst&maskB].SetValue(regs[a])
			continue

		case lua.OP_GETGLOBAL:
			v = field(L, cf.Fn.Env, proto.stringConstants[inst&maskBx])
			regs = rg.window(cf)
		case lua.OP_SETGLOBAL:
			setField(L, cf.Fn.Env, proto.stringConstants[inst&maskBx], regs[a])
			regs = rg.window(cf)
			continue
		case lua.OP_GETTABLE:
			obj, key := regs[inst&maskB], operand(regs, consts, int(inst>>shiftC)&maskB)
			v = m.index(L, obj, key)
			regs = rg.window(cf)
		case lua.OP_GETTABLEKS:
			obj := regs[inst&maskB]
			v = field(L, obj, text(proto, regs, int(inst>>shiftC)&maskB))
			regs = rg.window(cf)
		case lua.OP_SETTABLE:
			m.setIndex(L, regs[a], operand(regs, consts, int(inst&maskB)), operand(regs, consts, int(inst>>shiftC)&maskB))
			regs = rg.window(cf)
			continue
		case lua.OP_SETTABLEKS:
			setField(L, regs[a], text(proto, regs, int(inst&maskB)), operand(regs, consts, int(inst>>shiftC)&maskB))
			regs = rg.window(cf)
			continue
		case lua.OP_NEWTABLE:
			v = L.CreateTable(int(inst&maskB), int(inst>>shiftC)&maskB)
		case lua.OP_SELF:
			obj := regs[inst&maskB]
			method := field(L, obj, text(proto, regs, int(inst>>shiftC)&maskB))
			rg.set(L, cf.LocalBase+a, method)
			rg.set(L, cf.LocalBase+a+1, obj)
			regs = rg.window(cf)
			continue
		case lua.OP_SETLIST:
			n, c := int(inst&maskB), int(inst>>shiftC)&maskB
			if c == 0 {
				c = int(code[pc])
				pc++
			}
			if n == 0 {
				n = rg.top - cf.LocalBase - a - 1
			}
			t.setList(cf.LocalBase+a, n, (c-1)*lua.FieldsPerFlush)
			continue

		case lua.OP_ADD:
			left, right := operand(regs, consts, int(inst&maskB)), operand(regs, consts, int(inst>>shiftC)&maskB)
			x, isNumber := left.(lua.LNumber)
			y, isNumberToo := right.(lua.LNumber)
			if isNumber && isNumberToo {
				v = rg.alloc.number(float64(x + y))
				break
			}
			v = arithmetic(L, t, opcode, left, right)
			regs = rg.window(cf)
		case lua.OP_SUB:
			left, right := operand(regs, consts, int(inst&maskB)), operand(regs, consts, int(inst>>shiftC)&maskB)
			x, isNumber := left.(lua.LNumber)
			y, isNumberToo := right.(lua.LNumber)
			if isNumber && isNumberToo {
				v = rg.alloc.number(float64(x - y))
				break
			}
			v = arithmetic(L, t, opcode, left, right)
			regs = rg.window(cf)
		case lua.OP_MUL:
			left, right := operand(regs, consts, int(inst&maskB)), operand(regs, consts, int(inst>>shiftC)&maskB)
			x, isNumber := left.(lua.LNumber)
			y, isNumberToo := right.(lua.LNumber)
			if isNumber && isNumberToo {
				v = rg.alloc.number(float64(x * y))
				break
			}
			v = arithmetic(L, t, opcode, left, right)
			regs = rg.window(cf)
		case lua.OP_MOD:
			left, right := operand(regs, consts, int(inst&maskB)), operand(regs, consts, int(inst>>shiftC)&maskB)
			x, isNumber := left.(lua.LNumber)
			y, isNumberToo := right.(lua.LNumber)
			if isNumber && isNumberToo {
				v = rg.alloc.number(modulo(float64(x), float64(y)))
				break
			}
			v = arithmetic(L, t, opcode, left, right)
			regs = rg.window(cf)
		case lua.OP_DIV, lua.OP_POW:
			left, right := operand(regs, consts, int(inst&maskB)), operand(regs, consts, int(inst>>shiftC)&maskB)
			x, isNumber := left.(lua.LNumber)
			y, isNumberToo := right.(lua.LNumber)
			if isNumber && isNumberToo {
				v = rg.alloc.number(compute(opcode, float64(x), float64(y)))
				break
			}
			v = arithmetic(L, t, opcode, left, right)
			regs = rg.window(cf)
		case lua.OP_UNM:
			switch x := operand(regs, consts, int(inst&maskB)).(type) {
			case lua.LNumber:
				if x == 0 {
					v = -x // which can be -0
				} else {
					v = rg.alloc.number(float64(-x))
				}
			default:
				v = negative(L, t, x)
				regs = rg.window(cf)
			}
		case lua.OP_NOT:
			v = boolean(!truthy(regs[inst&maskB]))
		case lua.OP_LEN:
			switch x := operand(regs, consts, int(inst&maskB)).(type) {
			case lua.LString:
				v = rg.alloc.number(float64(len(x)))
			default:
				v = m.length(L, t, x)
				regs = rg.window(cf)
			}
		case lua.OP_CONCAT:
			v = concatenate(L, t, cf.LocalBase+int(inst&maskB), cf.LocalBase+int(inst>>shiftC)&maskB)
			regs = rg.window(cf)

		case lua.OP_JMP:
			pc += int(inst&maskBx) - middleBx
			continue
		case lua.OP_EQ:
			left, right := operand(regs, consts, int(inst&maskB)), operand(regs, consts, int(inst>>shiftC)&maskB)
			if x, ok := left.(lua.LNumber); ok {
				if y, ok := right.(lua.LNumber); (ok && x == y) == (a == 0) {
					pc++
				}
				continue
			}
			if m.equal(L, left, right) == (a == 0) {
				pc++
			}
			regs = rg.window(cf)
			continue
		case lua.OP_LT, lua.OP_LE:
			left, right := operand(regs, consts, int(inst&maskB)), operand(regs, consts, int(inst>>shiftC)&maskB)
			if x, ok := left.(lua.LNumber); ok {
				if y, ok := right.(lua.LNumber); ok {
					if (x < y || opcode == lua.OP_LE && x == y) == (a == 0) {
						pc++
					}
					continue
				}
			}
			if m.ordered(L, t, opcode, left, right) == (a == 0) {
				pc++
			}
			regs = rg.window(cf)
			continue
		case lua.OP_TEST:
			if truthy(regs[a]) == (inst>>shiftC&maskB == 0) {
				pc++
			}
			continue
		case lua.OP_TESTSET:
			v = regs[inst&maskB]
			if truthy(v) == (inst>>shiftC&maskB == 0) {
				pc++
				continue
			}

		case lua.OP_CALL:
			at, nargs := cf.LocalBase+a, int(inst&maskB)-1
			if nargs < 0 {
				nargs = rg.top - at - 1
			}
			fn, with := callable(L, regs[a])
			m.enter(L, t, fn, at, nargs, int(inst>>shiftC)&maskB-1, at, with)
			if !fn.IsG {
				goto enter
			}
			if m.callHost(L, t, false) {
				return
			}
			regs = rg.window(cf)
			continue
		case lua.OP_TAILCALL:
			at, nargs := cf.LocalBase+a, int(inst&maskB)-1
			if nargs < 0 {
				nargs = rg.top - at - 1
			}
			if m.tailCall(L, t, base, at, nargs) {
				return
			}
			goto enter
		case lua.OP_RETURN:
			if m.ret(L, t, base, cf.LocalBase+a, int(inst&maskB)) {
				return
			}
			goto enter

		case lua.OP_FORLOOP:
			init, limit, step := bounds(L, regs, a)
			init += step
			v = rg.alloc.number(float64(init))
			regs[a] = v
			if step > 0 && init <= limit || step <= 0 && init >= limit {
				pc += int(inst&maskBx) - middleBx
				a += 3
				break
			}
			rg.setTop(L, cf.LocalBase+a+1)
			regs = rg.window(cf)
			continue
		case lua.OP_FORPREP:
			v = prepareLoop(L, t, regs, a)
			pc += int(inst&maskBx) - middleBx
		case lua.OP_TFORLOOP:
			if m.iterate(L, t, cf.LocalBase+a, int(inst>>shiftC)&maskB) {
				pc += int(code[pc]&maskBx) - middleBx
			}
			pc++
			regs = rg.window(cf)
			continue

		case lua.OP_CLOSE:
			t.closeUpvalues(cf.LocalBase + a)
			continue
		case lua.OP_CLOSURE:
			v, pc = t.closure(cf, proto.FunctionPrototypes[inst&maskBx], pc)
		case lua.OP_VARARG:
			parameters := int(proto.NumParameters)
			n := int(inst&maskB) - 1
			if n < 0 {
				n = max(cf.NArgs-parameters, 0)
			}
			rg.move(L, cf.LocalBase+a, cf.Base+parameters+1, min(cf.LocalBase, rg.top), n)
			regs = rg.window(cf)
			continue
		case lua.OP_NOP:
			continue
		default:
			panic("lua: an instruction that is not known")
		}
		if a < len(regs) {
			regs[a] = v
			rg.top = max(rg.top, cf.LocalBase+a+1)
			continue
		}
		rg.set(L, cf.LocalBase+a, v)
		regs = rg.window(cf)
	}
}

var (
	yes lua.LValue = lua.LTrue
	no  lua.LValue = lua.LFalse
)

func boolean(b bool) lua.LValue {
	if b {
		return yes
	}
	return no
}

// text is a key that the compiler knows for a string.
func text(p *prototype, regs []lua.LValue, i int) string {
	if i&constants != 0 {
		return p.stringConstants[i&^constants]
	}
	return string(regs[i].(lua.LString)) // the compiler knows that it is one
}

// bounds are the counter of a loop, its limit and its step.
func bounds(L *lua.LState, regs []lua.LValue, a int) (init, limit, step lua.LNumber) {
	init, ok := regs[a].(lua.LNumber)
	if !ok {
		L.RaiseError("for statement init must be a number")
	}
	if limit, ok = regs[a+1].(lua.LNumber); !ok {
		L.RaiseError("for statement limit must be a number")
	}
	if step, ok = regs[a+2].(lua.LNumber); !ok {
		L.RaiseError("for statement step must be a number")
	}
	return init, limit, step
}

// prepareLoop returns what the counter of a loop is before the first step. Texts become the numbers that they are.
func prepareLoop(L *lua.LState, t *thread, regs []lua.LValue, a int) lua.LValue {
	for i := a; i < a+3; i++ {
		if s, ok := regs[i].(lua.LString); ok {
			if n, ok := number.Parse(string(s)); ok {
				regs[i] = lua.LNumber(n)
			}
		}
	}
	init, ok := regs[a].(lua.LNumber)
	if !ok {
		L.RaiseError("for statement init must be a number")
	}
	step, ok := regs[a+2].(lua.LNumber)
	if !ok {
		L.RaiseError("for statement step must be a number")
	}
	return t.reg.alloc.number(float64(init - step))
}

// iterate calls the iterator at a place of the registry for n values. It reports whether there is a first one, which it
// keeps for the next time.
func (m *Machine) iterate(L *lua.LState, t *thread, at, n int) bool {
	rg := t.reg
	const results = 3 // where they are, after the iterator and its two arguments
	place := at + results
	rg.setTop(L, place+2)
	rg.set(L, place+2, rg.array[at+2])
	rg.set(L, place+1, rg.array[at+1])
	rg.set(L, place, rg.array[at])
	fn, with := callable(L, rg.array[place])
	m.run(L, m.enter(L, t, fn, place, 2, n, place, with)) // a loop of its own, as gopher-lua has it: a yield looks for those
	rg.setTop(L, place+n)
	if isNil(rg.array[place]) {
		return false
	}
	rg.array[at+2] = rg.array[place]
	return true
}
