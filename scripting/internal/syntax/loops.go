package syntax

import "github.com/yuin/gopher-lua/ast"

// The compiler counts the names of a generic "for" where it should count the three values that
// it takes, so a missing one is what lies on the stack; and it counts registers of these
// values twice, so a call among them can overwrite another. It shortens jumps to jumps
// even where the second has been shortened already and has no label any more: a loop whose body begins with a jump
// goes somewhere in the function.

// genericFor rewrites a loop over an iterator.
func (m *mender) genericFor(v *ast.GenericForStmt) ast.Stmt {
	if isPlainCall(v.Exprs) {
		return m.loop(v, &v.Stmts, v.Names...)
	}
	for _, e := range v.Exprs {
		if len(v.Exprs) > 3 || hasCall(e) {
			return m.heldFor(v)
		}
	}
	for len(v.Exprs) < 3 {
		v.Exprs = append(v.Exprs, at(&ast.NilExpr{}, v.Exprs[0]))
	}
	return m.loop(v, &v.Stmts, v.Names...)
}

// isPlainCall tells whether the values are those of one call, of a function that needs
// no other call to be found.
func isPlainCall(values []ast.Expr) bool {
	call, ok := only(values).(*ast.FuncCallExpr)
	return ok && !call.AdjustRet && !hasCall(call.Func) && !hasCall(call.Receiver)
}

// heldFor gives a loop its three values by locals.
func (m *mender) heldFor(v *ast.GenericForStmt) ast.Stmt {
	names := []string{"(generator)", "(state)", "(control)"}
	declared := at(&ast.LocalAssignStmt{Names: names, Exprs: v.Exprs}, v)
	v.Exprs = nil
	for _, name := range names {
		v.Exprs = append(v.Exprs, ident(v, name))
	}
	return block(v, declared, m.loop(v, &v.Stmts, v.Names...))
}

// hasCall tells whether an expression calls something or has "...", outside of functions.
func hasCall(e ast.Expr) bool {
	switch v := e.(type) {
	case *ast.FuncCallExpr, *ast.Comma3Expr:
		return true
	case *ast.AttrGetExpr:
		return hasCall(v.Object) || hasCall(v.Key)
	case *ast.LogicalOpExpr:
		return hasCall(v.Lhs) || hasCall(v.Rhs)
	case *ast.RelationalOpExpr:
		return hasCall(v.Lhs) || hasCall(v.Rhs)
	case *ast.StringConcatOpExpr:
		return hasCall(v.Lhs) || hasCall(v.Rhs)
	case *ast.ArithmeticOpExpr:
		return hasCall(v.Lhs) || hasCall(v.Rhs)
	case *ast.UnaryMinusOpExpr:
		return hasCall(v.Expr)
	case *ast.UnaryNotOpExpr:
		return hasCall(v.Expr)
	case *ast.UnaryLenOpExpr:
		return hasCall(v.Expr)
	case *ast.TableExpr:
		for _, field := range v.Fields {
			if hasCall(field.Key) || hasCall(field.Value) {
				return true
			}
		}
	}
	return false
}

// while rewrites a loop. One that never runs has its condition, which is a jump, moved out of it.
func (m *mender) while(v *ast.WhileStmt) ast.Stmt {
	value, constant := truth(v.Condition)
	if !constant || value {
		return m.loop(v, &v.Stmts)
	}
	never := at(&ast.IfStmt{Condition: v.Condition}, v)
	v.Condition = at(&ast.TrueExpr{}, v.Condition)
	never.Then = []ast.Stmt{m.loop(v, &v.Stmts)}
	return never
}

// repeat rewrites a loop, in whose condition the locals of the body are known.
func (m *mender) repeat(v *ast.RepeatStmt) ast.Stmt {
	return m.loopBody(v, &v.Stmts, func() { m.replace(&v.Condition) })
}

// loop rewrites the body of a loop, in which names are declared.
func (m *mender) loop(v ast.Stmt, body *[]ast.Stmt, names ...string) ast.Stmt {
	return m.loopBody(v, body, func() {}, names...)
}

// loopBody rewrites the body of a loop and what follows it in its scope.
func (m *mender) loopBody(v ast.Stmt, body *[]ast.Stmt, after func(), names ...string) ast.Stmt {
	l := &loop{}
	s := &scope{up: m.scope, fn: m.scope.fn, names: names, loop: l}
	*body = m.inside(s, func() []ast.Stmt {
		statements := m.statements(*body)
		after()
		return statements
	})
	if startsWithJump(*body) {
		*body = append([]ast.Stmt{landing(v)}, *body...)
	}
	return m.finish(l, v)
}

// landing is a statement without effect, for a jump backwards to go to: a jump is not.
func landing(place ast.Stmt) ast.Stmt {
	return block(place, at(&ast.LocalAssignStmt{Names: []string{"(landing)"}}, place))
}

// startsWithJump tells whether the code of statements can begin with a jump.
func startsWithJump(statements []ast.Stmt) bool {
	for _, s := range statements {
		switch v := s.(type) {
		case *ast.LabelStmt:
			continue
		case *ast.DoBlockStmt:
			if len(v.Stmts) == 0 {
				continue
			}
			return startsWithJump(v.Stmts)
		case *ast.BreakStmt:
			return true
		case *ast.IfStmt:
			_, constant := truth(v.Condition)
			return constant
		case *ast.WhileStmt:
			_, constant := truth(v.Condition)
			return constant
		case *ast.RepeatStmt:
			_, constant := truth(v.Condition)
			return startsWithJump(v.Stmts) || len(v.Stmts) == 0 && constant
		}
		return false
	}
	return false
}
