// go-micro's own Consul registry, asked for one service again and again: what benchmarks/test_go.py compares with.
//
//	main ADDRESS SERVICE
//
// ADDRESS is host:port of whatever answers as a Consul agent does. For each line of standard input it calls
// GetService once and prints what that cost: {"seconds": ..., "bytes": ..., "nodes": ...}, where bytes are all that
// was allocated meanwhile.
package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"log"
	"os"
	"runtime"
	"time"

	"github.com/micro/go-micro/registry"
	"github.com/micro/go-micro/registry/consul"
)

// cost is what one call took.
type cost struct {
	Seconds float64 `json:"seconds"`
	Bytes   uint64  `json:"bytes"`
	Nodes   int     `json:"nodes"`
}

func main() {
	if len(os.Args) != 3 {
		fmt.Fprintln(os.Stderr, "usage: main ADDRESS SERVICE")
		os.Exit(2)
	}
	asked := consul.NewRegistry(registry.Addrs(os.Args[1]))
	lines, out := bufio.NewScanner(os.Stdin), json.NewEncoder(os.Stdout)
	for lines.Scan() {
		found, err := measured(asked, os.Args[2])
		if err == nil {
			err = out.Encode(found)
		}
		if err != nil {
			log.Fatal(err)
		}
	}
}

func measured(asked registry.Registry, service string) (cost, error) {
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	begun := time.Now()
	services, err := asked.GetService(service)
	took := time.Since(begun)
	runtime.ReadMemStats(&after)
	found := cost{Seconds: took.Seconds(), Bytes: after.TotalAlloc - before.TotalAlloc}
	for _, one := range services {
		found.Nodes += len(one.Nodes)
	}
	return found, err
}
