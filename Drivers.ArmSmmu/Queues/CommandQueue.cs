// SPDX-License-Identifier: Apache-2.0

namespace PasidFramework.Drivers.ArmSmmu.Queues;

/// <summary>The command queue of one unit (Arm IHI 0070 3.5, 4.1): each operation waits for its own SYNC.</summary>
/// <remarks>
/// An illegal command stops the queue for all. The thread that sees it records whose command it was, puts a SYNC in
/// its place and acknowledges the error, so that the owner gets EIO and the others go on.
/// </remarks>
internal sealed class CommandQueue : CommandRing
{
    private const int FailuresKept = 8;
    private readonly IPhysicalMemory _memory;
    private readonly IRegisterFile _registers;
    private readonly int _log2;
    private readonly long[] _owners;
    private readonly Failure[] _failures = new Failure[FailuresKept];
    private long _lastOwner;
    private long _failureCount;
    private long _droppedOwner;

    private CommandQueue(IPhysicalMemory memory, IRegisterFile registers, int log2, PollTimeout timeout, ulong address)
        : base(memory, new CommandRingShape(address, log2, SmmuCommand.Words, CanFill: true, IsWhole: false), timeout)
    {
        _memory = memory;
        _registers = registers;
        _log2 = log2;
        _owners = new long[Slots];
    }

    public ulong Base => Registers.QueueBase(Address, _log2);

    /// <summary>Makes an empty queue; the unit announces it to the hardware while the queue is disabled.</summary>
    /// <param name="registers">Producer and consumer.</param>
    /// <param name="log2">log2 of the number of commands, 0 to 19.</param>
    /// <param name="timeout">How long the consumer may stand still before ETIMEDOUT.</param>
    /// <returns>The queue, or ENOMEM.</returns>
    public static OpResult<CommandQueue> Create(
        IPhysicalMemory memory, IRegisterFile registers, int log2, PollTimeout timeout)
    {
        ArgumentOutOfRangeException.ThrowIfNegative(log2);
        ArgumentOutOfRangeException.ThrowIfGreaterThan(log2, 19);
        int bytes = SmmuCommand.Bytes << log2;
        OpResult<ulong> address = memory.AllocatePages(bytes, Math.Max(4096, bytes));
        return address.IsOk
            ? OpResult<CommandQueue>.Ok(new CommandQueue(memory, registers, log2, timeout, address.Value))
            : OpResult<CommandQueue>.Refuse(address.Outcome);
    }

    protected override void EncodeFence(Span<ulong> command) => Formats.Commands.Sync().CopyTo(command);

    protected override void Prepare(Span<ulong> command, int slot, ref CommandTicket ticket)
    {
        if (ticket.Owner == 0)
        {
            ticket = ticket with { Owner = ++_lastOwner };
        }

        _owners[slot] = ticket.Owner;
    }

    protected override uint ReadConsumer() => _registers.Read32(Registers.CMDQ_CONS);

    protected override void Notify(long producer) =>
        _registers.Write32(Registers.CMDQ_PROD, (uint)producer & (uint)((2 * Slots) - 1));

    protected override void Refresh()
    {
        base.Refresh();
        uint error = _registers.Read32(Registers.GERROR);
        if (((error ^ _registers.Read32(Registers.GERRORN)) & Registers.GERROR_CMDQ_ERR) == 0)
        {
            return;
        }

        // With the error pending the queue stands still, so this value of the consumer is exact: it names the command.
        uint consumer = ReadConsumer();
        if (Advance(consumer))
        {
            RecordError((int)((consumer & Registers.CMDQ_CONS_ERR.WordMask) >> Registers.CMDQ_CONS_ERR.Shift));
        }

        // GERRORN[0] becomes GERROR[0]: the error is acknowledged and the queue goes on.
        _registers.Write32(Registers.GERRORN, error);
    }

    protected override OpResult ResultOf(CommandTicket ticket)
    {
        for (int i = 0; i < Math.Min(_failureCount, FailuresKept); i++)
        {
            Failure failure = _failures[i];
            if (failure.Owner == ticket.Owner)
            {
                string name = Registers.CommandErrorName(failure.Code);
                return OpResult.Refuse(
                    Errno.EIO, $"the command queue reported {name} ({failure.Code}) for {failure.Command}");
            }
        }

        // Older failures than are kept: without knowing, the operation is not called a success.
        return ticket.Owner <= _droppedOwner
            ? OpResult.Refuse(Errno.EIO, $"the command queue failed more than {FailuresKept} times meanwhile")
            : OpResult.Ok;
    }

    protected override OpResult TimedOut(bool isFull, int polls) => OpResult.Refuse(Errno.ETIMEDOUT, isFull
        ? Text($"the command queue stayed full for {polls} polls of CMDQ_CONS (0x{ReadConsumer():x})")
        : Text($"CMD_SYNC did not complete within {polls} polls of CMDQ_CONS (0x{ReadConsumer():x})"));

    // The command at the consumer failed.
    private void RecordError(int code)
    {
        int slot = SlotOf(Consumed);
        ulong address = AddressOf(slot);
        if (_failureCount == 0 || _failures[(_failureCount - 1) % FailuresKept].Position != Consumed)
        {
            var command = new SmmuCommand(_memory.ReadQword(address), _memory.ReadQword(address + 8));
            ref Failure entry = ref _failures[_failureCount++ % FailuresKept];
            _droppedOwner = Math.Max(_droppedOwner, entry.Owner);
            entry = new Failure(Consumed, _owners[slot], code, command);
        }

        // An ill-formed command would stop the queue again; an aborted fetch or a timed-out ATC_INV is tried once more.
        if (code == Registers.CERROR_ILL)
        {
            Span<ulong> fence = stackalloc ulong[SmmuCommand.Words];
            EncodeFence(fence);
            Replace(slot, fence);
        }
    }

    private readonly record struct Failure(long Position, long Owner, int Code, SmmuCommand Command);
}
