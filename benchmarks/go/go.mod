module regcache/benchmarks/go

go 1.19

require github.com/micro/go-micro v1.1.0
