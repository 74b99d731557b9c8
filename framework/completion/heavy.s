// This file lets heavy.go declare functions whose bodies the runtime has.
