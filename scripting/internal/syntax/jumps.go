package syntax

import (
	"slices"
	"strconv"

	"github.com/yuin/gopher-lua/ast"
)

// When a block is left, the interpreter must be told to close the variables that closures hold of
// it, or else they become what is put into their registers next. For "break" the compiler looks at the
// block of the loop only, not at those between; for "goto" it closes all variables of the
// function, also those that live on, unless the jump leaves a block with a local that a closure holds.

// loop is a loop whose body is being walked through.
type loop struct {
	breaks []exit
}

// exit is a "break", in a block of its own.
type exit struct {
	place *ast.DoBlockStmt
	scope *scope
}

// breakLoop puts "break" into a block, in which it can become a "goto".
func (m *mender) breakLoop(v *ast.BreakStmt) ast.Stmt {
	place := block(v, v)
	for s := m.scope; s != nil && s.fn == m.scope.fn; s = s.up {
		if s.loop != nil {
			s.loop.breaks = append(s.loop.breaks, exit{place, m.scope})
			return place
		}
	}
	return v // the compiler has an error for it
}

// leavesCaptured tells whether a "break" leaves a block with locals that closures hold.
func (e exit) leavesCaptured() bool {
	for s := e.scope; ; s = s.up {
		if s.captured || s.loop != nil {
			return s.captured
		}
	}
}

// finish returns a loop that has been rewritten, with a label behind it if a "break" needs one.
func (m *mender) finish(l *loop, v ast.Stmt) ast.Stmt {
	label := ""
	for _, e := range l.breaks {
		if !e.leavesCaptured() {
			continue
		}
		if label == "" {
			m.labels++
			label = "(break " + strconv.Itoa(m.labels) + ")"
		}
		e.place.Stmts = jump(e.place, label)
	}
	if label == "" {
		return v
	}
	return block(v, v, at(&ast.LabelStmt{Name: label}, v))
}

// jump rewrites "goto".
func (m *mender) jump(v *ast.GotoStmt) ast.Stmt {
	return block(v, jump(v, v.Label, m.left(v.Label)...)...)
}

// left returns the locals that a jump backwards may leave. The compiler has not seen all closures yet.
func (m *mender) left(label string) (names []string) {
	for s := m.scope; s != nil && s.fn == m.scope.fn; s = s.up {
		names = append(names, s.names...)
		if slices.Contains(s.labels, label) {
			return names
		}
	}
	return nil // it is a jump forwards, or the compiler has an error for it
}

// jump makes a "goto" that leaves a block with a local that a closure holds, which is never
// made, and so closes what it leaves and no more.
func jump(place ast.Stmt, label string, names ...string) []ast.Stmt {
	const leaving = "(leaving)"
	held := at(&ast.ReturnStmt{}, place)
	for _, name := range append(names, leaving) {
		held.Exprs = append(held.Exprs, ident(place, name))
	}
	closure := at(&ast.FunctionExpr{ParList: &ast.ParList{}, Stmts: []ast.Stmt{held}}, place)
	return []ast.Stmt{
		at(&ast.LocalAssignStmt{Names: []string{leaving}}, place),
		at(&ast.GotoStmt{Label: label}, place),
		at(&ast.LocalAssignStmt{Names: []string{"(closure)"}, Exprs: []ast.Expr{closure}}, place),
	}
}
