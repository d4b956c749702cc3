// SPDX-License-Identifier: Apache-2.0

namespace PasidFramework.Drivers.IntelVtd.Queues;

/// <summary>
/// The unit's invalidation queue, 256-bit descriptors. Intel VT-d, D51397-018 (rev 5.10), section 6.5.2.
/// </summary>
/// <remarks>
/// Every submission ends with a wait descriptor that writes a number to one status word. Numbers rise with the queue,
/// and a wait completes after every descriptor ahead of it, earlier waits included: so the word only rises, and a
/// submission is complete when the word has reached its number. One word serves any number of waiters, and no slot must
/// be kept until its owner has read it.
/// </remarks>
internal sealed class InvalidationQueue : CommandRing
{
    private const uint Errors = FaultStatusBits.IQE | FaultStatusBits.ICE | FaultStatusBits.ITE;
    private readonly IPhysicalMemory _memory;
    private readonly IRegisterFile _registers;
    private readonly PollTimeout _timeout;
    private readonly int _pagesLog2;
    private readonly ulong _status;
    private uint _sequence;

    private InvalidationQueue(
        IPhysicalMemory memory,
        IRegisterFile registers,
        PollTimeout timeout,
        int pagesLog2,
        ulong queue,
        ulong status,
        uint sequence)
        : base(
            memory,
            new CommandRingShape(
                queue,
                pagesLog2 + 12 - int.Log2(Invalidation.SizeBytes),
                Invalidation.Words,
                CanFill: false,
                IsWhole: true),
            timeout)
    {
        _memory = memory;
        _registers = registers;
        _timeout = timeout;
        _pagesLog2 = pagesLog2;
        _status = status;
        _sequence = sequence;
        if (sequence != 0)
        {
            memory.WriteDword(status, sequence);
        }
    }

    /// <summary>What to write to IQA: base, 256-bit descriptors, size.</summary>
    public ulong AddressRegister => Address | 0UL.With(QueueAddress.DW, 1).With(QueueAddress.QS, (ulong)_pagesLog2);

    /// <summary>Takes memory for a queue.</summary>
    /// <param name="timeout">Bounds waiting.</param>
    /// <param name="sequence">Number of the last wait before the first.</param>
    /// <returns>The queue; ENOMEM.</returns>
    public static OpResult<InvalidationQueue> Create(
        IPhysicalMemory memory, IRegisterFile registers, PollTimeout timeout, int pagesLog2, uint sequence = 0)
    {
        int bytes = 4096 << pagesLog2;
        OpResult<ulong> queue = memory.AllocatePages(bytes);
        if (!queue.IsOk)
        {
            return OpResult<InvalidationQueue>.Refuse(queue.Outcome);
        }

        OpResult<ulong> status = memory.AllocatePages(4096);
        if (!status.IsOk)
        {
            memory.FreePages(queue.Value, bytes);
            return OpResult<InvalidationQueue>.Refuse(status.Outcome);
        }

        return OpResult<InvalidationQueue>.Ok(
            new InvalidationQueue(memory, registers, timeout, pagesLog2, queue.Value, status.Value, sequence));
    }

    /// <remarks>
    /// It writes its status too, which no thread waits for: some emulations refuse a wait that neither writes nor
    /// interrupts.
    /// </remarks>
    protected override void EncodeFence(Span<ulong> command)
    {
        command.Set(Invalidation.Type, Invalidation.Wait);
        command.Set(InvWait.SW, 1);
        command.Set(InvWait.FN, 1);
    }

    protected override void EncodeClosing(Span<ulong> command, bool drain)
    {
        command.Set(Invalidation.Type, Invalidation.Wait);
        command.Set(InvWait.SW, 1);
        command.Set(InvWait.PD, drain ? 1u : 0);
    }

    protected override void Prepare(Span<ulong> command, int slot, ref CommandTicket ticket)
    {
        if (command.Get(Invalidation.Type) == Invalidation.Wait)
        {
            _sequence++;
            command.Set(InvWait.STATUS_DATA, _sequence);
            command.SetAddress(InvWait.STATUS_ADDR, _status);
            ticket = ticket with { Owner = _sequence };
        }
    }

    protected override uint ReadConsumer() => (uint)(_registers.Read64(VtdRegisters.IQH) / Invalidation.SizeBytes);

    protected override void Notify(long producer) =>
        _registers.Write64(VtdRegisters.IQT, (ulong)SlotOf(producer) * Invalidation.SizeBytes);

    /// <remarks>The difference is taken modulo 2^32, so numbers may start over.</remarks>
    protected override bool TryComplete(CommandTicket ticket, bool isLate, out OpResult result)
    {
        result = OpResult.Ok;
        return (int)(_memory.ReadDword(_status) - (uint)ticket.Owner) >= 0;
    }

    protected override OpResult CheckErrors()
    {
        uint status = _registers.Read32(VtdRegisters.FSTS);
        if ((status & Errors) == 0)
        {
            return OpResult.Ok;
        }

        ulong cause = _registers.Read64(VtdRegisters.IQERCD);
        ulong head = _registers.Read64(VtdRegisters.IQH);
        return OpResult.Refuse(Errno.EIO,
            $"the invalidation queue stopped at 0x{head:x}: FSTS 0x{status:x}, IQERCD 0x{cause:x}");
    }

    protected override OpResult TimedOut(bool isFull, int polls) => OpResult.Refuse(Errno.ETIMEDOUT,
        $"an invalidation did not complete within {_timeout.Limit.TotalMilliseconds} ms");

    protected override void FreeMemory()
    {
        base.FreeMemory();
        _memory.FreePages(_status, 4096);
    }
}
