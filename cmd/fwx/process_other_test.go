//go:build !linux

package main

// memory would return the most memory that the program has had resident.
func (g *gateway) memory() int { return 0 }

func (g *gateway) status(string) int { return 0 }

// descriptors would return how many descriptors the program has open.
func (g *gateway) descriptors() int { return 0 }
