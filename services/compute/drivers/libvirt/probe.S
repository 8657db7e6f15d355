/*
 * A guest of a few hundred bytes that only says "ok" if the machine under it really runs 64-bit guests.
 *
 * It does the four things that a half-working accelerator gets wrong: turns on paging and long mode, writes to
 * memory through its page tables, loads an interrupt table, and survives a software interrupt.  Then it writes
 * "pileus:ok" to the first serial port and resets the machine.  Anything else (hang, triple fault, halt) is silence.
 *
 * Multiboot 1, flat image with address fields (specification 0.6.96, section 3.1).  Build:
 *   as --64 -o probe.o probe.S && ld -Ttext 0x100000 --oformat binary -o probe.bin probe.o
 */
        .set LOAD,   0x100000
        .set TABLES, 0x200000           /* three pages of page tables, then the interrupt table */
        .set GATES,  TABLES + 0x3000
        .set STACK,  TABLES + 0x8000
        .set FLAGS,  0x00010003
        .set COM1,   0x3f8

        .text
        .code32
        .globl _start
_start:
        .align 4
header: .long 0x1badb002, FLAGS, -(0x1badb002 + FLAGS)
        .long LOAD, LOAD, 0, 0          /* header, load start, load end (whole file), no bss */
        .long LOAD + (begin - _start)

begin:  cli
        cld
        movl $STACK, %esp
        movl $TABLES, %edi              /* clear the tables */
        xorl %eax, %eax
        movl $0x1000, %ecx
        rep stosl
        movl $(TABLES + 0x1003), TABLES
        movl $(TABLES + 0x2003), TABLES + 0x1000
        movl $(TABLES + 0x2000), %edi   /* the first GiB, as 512 pages of 2 MiB */
        movl $0x83, %eax
        movl $512, %ecx
1:      movl %eax, (%edi)
        addl $0x200000, %eax
        addl $8, %edi
        loop 1b
        movl %cr4, %eax
        orl  $0x20, %eax                /* physical address extension */
        movl %eax, %cr4
        movl $TABLES, %eax
        movl %eax, %cr3
        movl $0xc0000080, %ecx          /* EFER: long mode */
        rdmsr
        orl  $0x100, %eax
        wrmsr
        movl %cr0, %eax
        orl  $0x80000000, %eax          /* paging */
        movl %eax, %cr0
        lgdt LOAD + (gdt_at - _start)
        ljmp $8, $(LOAD + (wide - _start))

        .code64
wide:   movl $16, %eax
        movl %eax, %ds
        movl %eax, %es
        movl %eax, %ss
        movabsq $0x0123456789abcdef, %rbx
        movl $0x400000, %edi            /* 8192 pages: write a pattern, then read all of it back */
        movl $8192, %ecx
2:      movq %rbx, (%rdi)
        xorq %rdi, (%rdi)
        addq $4096, %rdi
        loop 2b
        movl $8192, %ecx
3:      subq $4096, %rdi
        movq (%rdi), %rax
        xorq %rdi, %rax
        cmpq %rbx, %rax
        jne  stuck
        loop 3b
        movl $(LOAD + (trap - _start)), %eax
        movl $(GATES + 3 * 16), %edi    /* gate 3: breakpoint */
        movw %ax, (%rdi)
        movw $8, 2(%rdi)                /* code segment 8 */
        movw $0x8e00, 4(%rdi)           /* present, 64-bit interrupt gate */
        shrl $16, %eax
        movl %eax, 6(%rdi)
        lidt gates_at(%rip)
        int3
stuck:  hlt
        jmp  stuck

trap:   leaq said(%rip), %rsi
        movl $COM1, %edx
4:      lodsb
        testb %al, %al
        jz   5f
        outb %al, %dx
        jmp  4b
5:      movl $0xcf9, %edx               /* reset control: power the board off and on */
        movb $0x06, %al
        outb %al, %dx
        jmp  stuck

said:   .asciz "pileus:ok\n"
        .align 8
gdt:    .quad 0, 0x00af9a000000ffff, 0x00cf92000000ffff
gdt_at: .word 23
        .long LOAD + (gdt - _start)
gates_at:
        .word 16 * 16 - 1
        .quad GATES
