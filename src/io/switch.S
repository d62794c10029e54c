/*
 * fiber_switch(void **save_sp, void *load_sp): keeps the callee-saved registers on the old stack, takes the new stack
 * and its registers up. fiber_boot: where a new fiber's first switch returns to.
 */
#if defined(__x86_64__)
	.text
	.globl fiber_switch
	.hidden fiber_switch
	.type fiber_switch, @function
	.p2align 4
fiber_switch:
	.cfi_startproc
	endbr64
	pushq %rbp
	.cfi_adjust_cfa_offset 8
	.cfi_rel_offset rbp, 0
	pushq %rbx
	.cfi_adjust_cfa_offset 8
	.cfi_rel_offset rbx, 0
	pushq %r12
	.cfi_adjust_cfa_offset 8
	.cfi_rel_offset r12, 0
	pushq %r13
	.cfi_adjust_cfa_offset 8
	.cfi_rel_offset r13, 0
	pushq %r14
	.cfi_adjust_cfa_offset 8
	.cfi_rel_offset r14, 0
	pushq %r15
	.cfi_adjust_cfa_offset 8
	.cfi_rel_offset r15, 0
	subq $8, %rsp
	.cfi_adjust_cfa_offset 8
	stmxcsr (%rsp)
	fnstcw 4(%rsp)
	movq %rsp, (%rdi)
	movq %rsi, %rsp
	ldmxcsr (%rsp)
	fldcw 4(%rsp)
	addq $8, %rsp
	.cfi_adjust_cfa_offset -8
	popq %r15
	.cfi_adjust_cfa_offset -8
	popq %r14
	.cfi_adjust_cfa_offset -8
	popq %r13
	.cfi_adjust_cfa_offset -8
	popq %r12
	.cfi_adjust_cfa_offset -8
	popq %rbx
	.cfi_adjust_cfa_offset -8
	popq %rbp
	.cfi_adjust_cfa_offset -8
	ret
	.cfi_endproc
	.size fiber_switch, . - fiber_switch

	.globl fiber_boot
	.hidden fiber_boot
	.type fiber_boot, @function
	.p2align 4
fiber_boot:
	.cfi_startproc
	.cfi_undefined rip
	endbr64
	movq %r12, %rdi
	call fiber_main
	ud2
	.cfi_endproc
	.size fiber_boot, . - fiber_boot

#elif defined(__aarch64__)
	.text
	.globl fiber_switch
	.hidden fiber_switch
	.type fiber_switch, %function
	.p2align 4
fiber_switch:
	.cfi_startproc
	hint 34
	sub sp, sp, #176
	.cfi_adjust_cfa_offset 176
	stp x19, x20, [sp, #0]
	stp x21, x22, [sp, #16]
	stp x23, x24, [sp, #32]
	stp x25, x26, [sp, #48]
	stp x27, x28, [sp, #64]
	stp x29, x30, [sp, #80]
	.cfi_rel_offset x29, 80
	.cfi_rel_offset x30, 88
	stp d8, d9, [sp, #96]
	stp d10, d11, [sp, #112]
	stp d12, d13, [sp, #128]
	stp d14, d15, [sp, #144]
	mov x9, sp
	str x9, [x0]
	mov sp, x1
	ldp x19, x20, [sp, #0]
	ldp x21, x22, [sp, #16]
	ldp x23, x24, [sp, #32]
	ldp x25, x26, [sp, #48]
	ldp x27, x28, [sp, #64]
	ldp x29, x30, [sp, #80]
	ldp d8, d9, [sp, #96]
	ldp d10, d11, [sp, #112]
	ldp d12, d13, [sp, #128]
	ldp d14, d15, [sp, #144]
	add sp, sp, #176
	.cfi_adjust_cfa_offset -176
	ret
	.cfi_endproc
	.size fiber_switch, . - fiber_switch

	.globl fiber_boot
	.hidden fiber_boot
	.type fiber_boot, %function
	.p2align 4
fiber_boot:
	.cfi_startproc
	.cfi_undefined x30
	hint 34
	mov x0, x19
	bl fiber_main
	brk #1
	.cfi_endproc
	.size fiber_boot, . - fiber_boot
#else
#error "fiber_switch is written for x86-64 and arm64"
#endif
	.section .note.GNU-stack, "", %progbits
