package syntax

import (
	"fmt"
	"slices"

	"github.com/yuin/gopher-lua/ast"
)

// The compiler of gopher-lua makes wrong code of some trees, without an error. mend
// rewrites these trees, before they are compiled, into others that mean the same and
// are compiled rightly. Each file of this package has one kind of them, with its cause:
//
//	concat.go    "..", if it is to have a bound
//	assign.go    assignments of several values, or of "and" and "or" to a local
//	fold.go      constants: numbers, and "and", "or" and "not" of them
//	loops.go     the values of a generic "for", and where loops begin again
//	jumps.go     "break" and "goto" out of blocks whose locals closures hold
//	tables.go    constructors whose fields are flushed twice or in the wrong place
//
// What cannot be mended is a mistake at its line.

// maxDepth is how deep statements and expressions may be nested: the compiler calls itself for
// each level, and a stack that overflows ends the program.
const maxDepth = 10_000

// maxUpvalues is how many locals of others a function can use: the interpreter has
// one byte for their number.
const maxUpvalues = 255

// mistake is what cannot be compiled.
type mistake struct {
	line    int
	message string
}

// mender walks through a tree. It knows the locals in scope, as the compiler does.
type mender struct {
	scope   *scope
	labels  int // that were made up
	depth   int
	appends bool // a constructor needs the function that appends
	guards  bool // concatenations become calls
}

// scope is a block with its locals.
type scope struct {
	up       *scope // nil: it is the chunk
	fn       *function
	names    []string
	labels   []string // that have been seen
	captured bool     // a closure holds one of its locals
	loop     *loop    // whose body it is
}

// function is a function that is being walked through.
type function struct {
	free     map[string]bool // names that are declared outside of it, or globals
	upvalues map[string]bool // those of them that are locals
}

// mend rewrites a chunk; guards says that it is a guarded one. It panics with a mistake.
func mend(chunk []ast.Stmt, guards bool) []ast.Stmt {
	m := &mender{scope: newFunction(nil), guards: guards}
	chunk = m.statements(chunk)
	if m.appends {
		chunk = append([]ast.Stmt{appending()}, chunk...)
	}
	return chunk
}

func newFunction(up *scope) *scope {
	return &scope{up: up, fn: &function{free: make(map[string]bool), upvalues: make(map[string]bool)}}
}

func fail(line int, format string, values ...any) {
	panic(mistake{line, fmt.Sprintf(format, values...)})
}

// enter begins a level of nesting.
func (m *mender) enter(node ast.PositionHolder) {
	if m.depth++; m.depth > maxDepth {
		fail(node.Line(), "more than %d levels of nesting", maxDepth)
	}
}

// block rewrites the statements of a block of its own; names are declared in it.
func (m *mender) block(statements []ast.Stmt, names ...string) []ast.Stmt {
	return m.inside(&scope{up: m.scope, fn: m.scope.fn, names: names}, func() []ast.Stmt { return m.statements(statements) })
}

// inside calls a function with a scope.
func (m *mender) inside(s *scope, do func() []ast.Stmt) []ast.Stmt {
	outer := m.scope
	m.scope = s
	defer func() { m.scope = outer }()
	return do()
}

func (m *mender) declare(names ...string) { m.scope.names = append(m.scope.names, names...) }

// statements rewrites statements in the present scope.
func (m *mender) statements(statements []ast.Stmt) []ast.Stmt {
	out := make([]ast.Stmt, 0, len(statements))
	for i, s := range statements {
		out = append(out, m.statement(s))
		if label, ok := s.(*ast.LabelStmt); ok {
			m.scope.labels = append(m.scope.labels, label.Name)
			if startsWithJump(statements[i+1:]) {
				out = append(out, landing(label))
			}
		}
	}
	return out
}

func (m *mender) statement(statement ast.Stmt) ast.Stmt {
	m.enter(statement)
	defer func() { m.depth-- }()
	switch v := statement.(type) {
	case *ast.AssignStmt:
		m.list(v.Lhs)
		m.list(v.Rhs)
		return m.assignment(v)
	case *ast.LocalAssignStmt:
		m.local(v)
	case *ast.FuncCallStmt:
		m.replace(&v.Expr)
	case *ast.DoBlockStmt:
		v.Stmts = m.block(v.Stmts)
	case *ast.IfStmt:
		m.replace(&v.Condition)
		v.Then, v.Else = m.block(v.Then), m.block(v.Else)
	case *ast.WhileStmt:
		m.replace(&v.Condition)
		return m.while(v)
	case *ast.RepeatStmt:
		return m.repeat(v)
	case *ast.NumberForStmt:
		m.replace(&v.Init)
		m.replace(&v.Limit)
		m.replace(&v.Step)
		return m.loop(v, &v.Stmts, v.Name)
	case *ast.GenericForStmt:
		m.list(v.Exprs)
		return m.genericFor(v)
	case *ast.FuncDefStmt:
		m.definition(v)
	case *ast.ReturnStmt:
		m.list(v.Exprs)
	case *ast.BreakStmt:
		return m.breakLoop(v)
	case *ast.GotoStmt:
		return m.jump(v)
	}
	return statement
}

// local rewrites a declaration. The compiler takes "local f = function" for "local function
// f", in which f is the function; in the former it is what f was before. It does not
// if there is another value. The parser gives a last line to "local function" only.
func (m *mender) local(v *ast.LocalAssignStmt) {
	fn, isFunction := only(v.Exprs).(*ast.FunctionExpr)
	if isFunction && len(v.Names) == 1 && v.LastLine() != 0 {
		m.declare(v.Names...)
		m.function(fn, nil)
		return
	}
	if isFunction && len(v.Names) == 1 {
		if free := m.function(fn, nil).free; free[v.Names[0]] {
			v.Exprs = append(v.Exprs, at(&ast.NilExpr{}, fn))
		}
	} else {
		m.list(v.Exprs)
	}
	m.declare(v.Names...)
}

// definition rewrites "function name() … end".
func (m *mender) definition(v *ast.FuncDefStmt) {
	m.replace(&v.Name.Func)
	m.replace(&v.Name.Receiver)
	if v.Name.Func == nil { // function a:b()
		m.function(v.Func, []string{"self"})
		return
	}
	m.function(v.Func, nil)
}

// function rewrites the body of a function; first are its parameters before those that are written.
func (m *mender) function(v *ast.FunctionExpr, first []string) *function {
	s := newFunction(m.scope)
	s.names = append(append(s.names, first...), v.ParList.Names...)
	if v.ParList.HasVargs {
		s.names = append(s.names, "arg")
	}
	v.Stmts = m.inside(s, func() []ast.Stmt { return m.statements(v.Stmts) })
	if n := len(s.fn.upvalues); n > maxUpvalues {
		fail(v.Line(), "the function uses %d local variables of others, more than %d", n, maxUpvalues)
	}
	return s.fn
}

// resolve notes the use of a name. It says whether it is a local of the running function.
func (m *mender) resolve(name string) bool {
	crossed := make([]*function, 0, 8)
	for s := m.scope; s != nil; s = s.up {
		if s.declares(name) {
			for _, fn := range crossed {
				fn.upvalues[name] = true
			}
			s.captured = s.captured || len(crossed) > 0
			return len(crossed) == 0
		}
		if s.up == nil || s.up.fn != s.fn {
			s.fn.free[name] = true
			crossed = append(crossed, s.fn)
		}
	}
	return false
}

// isLocal tells whether an expression is a local of the running function.
func (m *mender) isLocal(e ast.Expr) bool {
	name, ok := e.(*ast.IdentExpr)
	if !ok {
		return false
	}
	for s := m.scope; s != nil && s.fn == m.scope.fn; s = s.up {
		if s.declares(name.Value) {
			return true
		}
	}
	return false
}

func (s *scope) declares(name string) bool { return slices.Contains(s.names, name) }

func (m *mender) list(expressions []ast.Expr) {
	for i := range expressions {
		m.replace(&expressions[i])
	}
}

// replace rewrites an expression in its place, its operands first.
func (m *mender) replace(place *ast.Expr) {
	if *place == nil {
		return
	}
	m.enter(*place)
	defer func() { m.depth-- }()
	switch v := (*place).(type) {
	case *ast.NumberExpr:
		v.Value = canonical(v)
	case *ast.IdentExpr:
		m.resolve(v.Value)
	case *ast.AttrGetExpr:
		m.replace(&v.Object)
		m.replace(&v.Key)
	case *ast.TableExpr:
		for _, field := range v.Fields {
			m.replace(&field.Key)
			m.replace(&field.Value)
			if field.Key != nil {
				adjust(field.Value)
			}
		}
		*place = m.mendTable(v)
	case *ast.FuncCallExpr:
		m.replace(&v.Func)
		m.replace(&v.Receiver)
		m.list(v.Args)
	case *ast.LogicalOpExpr:
		m.replace(&v.Lhs)
		m.replace(&v.Rhs)
		*place = foldLogic(v)
	case *ast.RelationalOpExpr:
		m.replace(&v.Lhs)
		m.replace(&v.Rhs)
	case *ast.StringConcatOpExpr:
		*place = m.concatenation(v)
	case *ast.ArithmeticOpExpr:
		m.replace(&v.Lhs)
		m.replace(&v.Rhs)
		*place = keepNegativeZero(v)
	case *ast.UnaryMinusOpExpr:
		m.replace(&v.Expr)
		*place = keepNegativeZero(v)
	case *ast.UnaryNotOpExpr:
		m.replace(&v.Expr)
		*place = foldNot(v)
	case *ast.UnaryLenOpExpr:
		m.replace(&v.Expr)
	case *ast.FunctionExpr:
		m.function(v, nil)
	}
}
