;; A guest that does what the fuzzer says. `roh_load` asks the host, whose answer is the
;; input, and has it at 4096: what `roh_load` returns and what `roh_call` returns, 8 bytes
;; each, then what `roh_call` does before: 20 bytes for each step, of which the first says
;; what to call, and four arguments follow in as many bytes each.
(module
    (import "wasi_snapshot_preview1" "poll_oneoff"
        (func $poll_oneoff (param i32 i32 i32 i32) (result i32)))
    (import "wasi_snapshot_preview1" "fd_write"
        (func $fd_write (param i32 i32 i32 i32) (result i32)))
    (import "wasi_snapshot_preview1" "fd_read"
        (func $fd_read (param i32 i32 i32 i32) (result i32)))
    (import "wasi_snapshot_preview1" "random_get" (func $random_get (param i32 i32) (result i32)))
    (import "wasi_snapshot_preview1" "clock_time_get"
        (func $clock_time_get (param i32 i64 i32) (result i32)))
    (import "wasi_snapshot_preview1" "clock_res_get"
        (func $clock_res_get (param i32 i32) (result i32)))
    (import "wasi_snapshot_preview1" "fd_fdstat_get"
        (func $fd_fdstat_get (param i32 i32) (result i32)))
    (import "wasi_snapshot_preview1" "fd_filestat_get"
        (func $fd_filestat_get (param i32 i32) (result i32)))
    (import "wasi_snapshot_preview1" "args_sizes_get"
        (func $args_sizes_get (param i32 i32) (result i32)))
    (import "wasi_snapshot_preview1" "environ_get"
        (func $environ_get (param i32 i32) (result i32)))
    (import "wasi_snapshot_preview1" "sched_yield" (func $sched_yield (result i32)))
    (import "wasi_snapshot_preview1" "path_open"
        (func $path_open (param i32 i32 i32 i32 i32 i64 i64 i32 i32) (result i32)))
    (import "wasi_snapshot_preview1" "proc_exit" (func $proc_exit (param i32)))
    (import "roh" "request" (func $request (param i32 i32) (result i64)))
    (import "roh" "answer" (func $answer (param i32 i32)))
    (import "roh" "panicked" (func $panicked (param i32 i32)))
    (memory (export "memory") 1)
    (global $stack (export "__stack_pointer") (mut i32) (i32.const 4096))
    (global $end (mut i32) (i32.const 4096))

    ;; Where the host writes is the input's to say, too: its third word.
    (func (export "roh_alloc") (param i32) (result i32)
        (if (result i32) (i32.gt_u (global.get $end) (i32.const 4096))
            (then (i32.load (i32.const 4112)))
            (else (i32.const 64))))

    (func (export "roh_load") (param i32 i32) (result i64)
        (local $len i32)
        (local.set $len (i32.wrap_i64 (call $request (i32.const 0) (i32.const 0))))
        (call $answer (i32.const 4096) (local.get $len))
        (global.set $end (i32.add (i32.const 4096) (local.get $len)))
        (i64.load (i32.const 4096)))

    (func (export "roh_call") (param i32 i32) (result i64)
        (local $at i32)
        (local.set $at (i32.const 4116))
        (loop $next
            (if (i32.le_u (i32.add (local.get $at) (i32.const 20)) (global.get $end))
                (then
                    (call $step
                        (i32.load8_u (local.get $at))
                        (i32.load offset=4 (local.get $at))
                        (i32.load offset=8 (local.get $at))
                        (i32.load offset=12 (local.get $at))
                        (i32.load offset=16 (local.get $at)))
                    (local.set $at (i32.add (local.get $at) (i32.const 20)))
                    (br $next))))
        (i64.load (i32.const 4104)))

    (func $step (param $what i32) (param $a i32) (param $b i32) (param $c i32) (param $d i32)
        (block $0 (block $1 (block $2 (block $3 (block $4 (block $5 (block $6 (block $7
        (block $8 (block $9 (block $10 (block $11 (block $12 (block $13 (block $14 (block $15
        (block $16 (block $17 (block $18
            (br_table $0 $1 $2 $3 $4 $5 $6 $7 $8 $9 $10 $11 $12 $13 $14 $15 $16 $17 $18
                (i32.rem_u (local.get $what) (i32.const 19))))
            (unreachable))
            (drop (memory.grow (local.get $a))) (return))
            (i32.store (local.get $a) (local.get $b)) (return))
            (call $panicked (local.get $a) (local.get $b)) (return))
            (call $answer (local.get $a) (local.get $b)) (return))
            (i64.store (local.get $c) (call $request (local.get $a) (local.get $b))) (return))
            (call $proc_exit (local.get $a)) (return))
            (drop (call $path_open (local.get $a) (local.get $b) (local.get $c) (local.get $d)
                (local.get $a) (i64.const 0) (i64.const 0) (local.get $b) (local.get $c)))
            (return))
            (drop (call $sched_yield)) (return))
            (drop (call $environ_get (local.get $a) (local.get $b))) (return))
            (drop (call $args_sizes_get (local.get $a) (local.get $b))) (return))
            (drop (call $fd_filestat_get (local.get $a) (local.get $b))) (return))
            (drop (call $fd_fdstat_get (local.get $a) (local.get $b))) (return))
            (drop (call $clock_res_get (local.get $a) (local.get $b))) (return))
            (drop (call $clock_time_get (local.get $a) (i64.const 0) (local.get $b))) (return))
            (drop (call $random_get (local.get $a) (local.get $b))) (return))
            (drop (call $fd_read (local.get $a) (local.get $b) (local.get $c) (local.get $d)))
            (return))
            (drop (call $fd_write (local.get $a) (local.get $b) (local.get $c) (local.get $d)))
            (return))
        (drop (call $poll_oneoff (local.get $a) (local.get $b) (local.get $c) (local.get $d)))))
