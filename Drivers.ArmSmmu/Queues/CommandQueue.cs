using System.Globalization;
using PasidFramework.DriverKit.Units;
using PasidFramework.Allocation;
using PasidFramework.Drivers.ArmSmmu.Formats;
using PasidFramework.Hardware;
using PasidFramework.Records;
using PasidFramework.Results;

namespace PasidFramework.Drivers.ArmSmmu.Queues;

/// <summary>
/// The command queue of one unit (Arm IHI 0070 3.5, 4.1): any number of threads write, each waits for its own SYNC.
/// </summary>
/// <remarks>
/// <para>Positions are counted in 64 bits; the registers hold the low bits of them, index plus wrap bit. The gate
/// covers writing entries and moving the producer, and looking at the consumer; nobody waits for hardware inside
/// it.</para>
/// <para>An illegal command stops the queue for everybody. Whoever sees it notes whose command it was, puts a SYNC in
/// its place and acknowledges the error, so that the owner gets EIO and the others go on.</para>
/// </remarks>
internal sealed class CommandQueue : IDisposable
{
    /// <summary>How long hardware may make no progress, however slow a look at a register is.</summary>
    public static readonly TimeSpan Patience = TimeSpan.FromSeconds(1);

    private const int FailuresKept = 8;

    private readonly IPhysicalMemory _memory;
    private readonly IRegisterFile _registers;
    private readonly ulong _address;
    private readonly int _log2;
    private readonly int _size;
    private readonly uint _positionMask;
    private readonly int _pollLimit;
    private readonly TimeProvider _time;
    private readonly long[] _tickets;
    private readonly Failure[] _failures = new Failure[FailuresKept];
    private SpinGate _gate;
    private long _produced;
    private long _consumed;
    private long _lastTicket;
    private long _failureCount;
    private long _droppedTicket;
    private bool _disposed;

    private CommandQueue(
        IPhysicalMemory memory,
        IRegisterFile registers,
        int log2,
        int pollLimit,
        TimeProvider time,
        ulong address)
    {
        _memory = memory;
        _registers = registers;
        _log2 = log2;
        _size = 1 << log2;
        _positionMask = (2u << log2) - 1;
        _pollLimit = pollLimit;
        _time = time;
        _address = address;
        _tickets = new long[_size];
    }

    /// <summary>Commands written so far, SYNCs included.</summary>
    public long Commands => Volatile.Read(ref _produced);

    /// <summary>Commands that fit.</summary>
    public int Capacity => _size;

    /// <summary>The value of CMDQ_BASE.</summary>
    public ulong Base
    {
        get
        {
            Span<ulong> words = [0];
            words.SetAddress(Registers.QUEUE_ADDR, _address);
            words.Set(Registers.QUEUE_LOG2SIZE, (ulong)_log2);
            words.Set(Registers.BASE_RA, 1);
            return words[0];
        }
    }

    /// <summary>Makes an empty queue; the unit tells the hardware of it while the queue is disabled.</summary>
    /// <param name="memory">Where.</param>
    /// <param name="registers">Producer and consumer.</param>
    /// <param name="log2">log2 of the number of commands, 0 to 19.</param>
    /// <param name="pollLimit">How often the consumer is looked at without progress before ETIMEDOUT.</param>
    /// <param name="time">The clock.</param>
    /// <returns>The queue, or ENOMEM.</returns>
    public static OpResult<CommandQueue> Create(
        IPhysicalMemory memory,
        IRegisterFile registers,
        int log2,
        int pollLimit,
        TimeProvider time)
    {
        ArgumentOutOfRangeException.ThrowIfNegative(log2);
        ArgumentOutOfRangeException.ThrowIfGreaterThan(log2, 19);
        int bytes = SmmuCommand.Bytes << log2;
        OpResult<ulong> address = memory.AllocatePages(bytes, Math.Max(4096, bytes));
        return address.IsOk
            ? OpResult<CommandQueue>.Ok(new CommandQueue(memory, registers, log2, pollLimit, time, address.Value))
            : OpResult<CommandQueue>.Refuse(address.Outcome);
    }

    /// <summary>Writes commands in order, waiting for room where the queue is full.</summary>
    /// <param name="commands">The commands; other threads' commands may come between them.</param>
    /// <param name="ticket">Whose commands they are: 0 to get a new ticket.</param>
    /// <param name="last">Position of the last command.</param>
    /// <returns>Success, or ETIMEDOUT where no room came; what was written stays written.</returns>
    public OpResult Write(ReadOnlySpan<SmmuCommand> commands, ref long ticket, out long last)
    {
        var budget = new PollBudget(_time, Patience);
        int polls = 0;
        last = -1;
        while (true)
        {
            _gate.Enter();
            try
            {
                if (ticket == 0)
                {
                    ticket = ++_lastTicket;
                }

                if (_produced - _consumed >= _size)
                {
                    Refresh();
                }

                int count = (int)Math.Min(commands.Length, _size - (_produced - _consumed));
                if (count > 0)
                {
                    Put(commands[..count], ticket);
                    last = _produced - 1;
                    commands = commands[count..];
                    polls = 0;
                    budget = new PollBudget(_time, Patience);
                }

                if (commands.IsEmpty)
                {
                    return OpResult.Ok;
                }
            }
            finally
            {
                _gate.Exit();
            }

            if (++polls > _pollLimit || !budget.TrySpend())
            {
                return OpResult.Refuse(Errno.ETIMEDOUT, Text(
                    $"the command queue stayed full for {polls} looks at CMDQ_CONS (0x{Consumer():x})"));
            }
        }
    }

    /// <summary>Waits until the hardware has consumed a SYNC.</summary>
    /// <param name="ticket">The ticket that the commands were written under.</param>
    /// <param name="last">Position of the SYNC.</param>
    /// <returns>Success; EIO where one of the ticket's commands failed; ETIMEDOUT.</returns>
    public OpResult Wait(long ticket, long last)
    {
        var budget = new PollBudget(_time, Patience);
        bool isLate = false;
        for (int polls = 0; ; polls++)
        {
            _gate.Enter();
            try
            {
                if (_consumed <= last)
                {
                    Refresh();
                }

                if (_consumed > last || isLate)
                {
                    OpResult failure = FailureOf(ticket);
                    if (!failure.IsOk || _consumed > last)
                    {
                        return failure;
                    }

                    return OpResult.Refuse(Errno.ETIMEDOUT, Text(
                        $"CMD_SYNC did not complete within {polls} looks at CMDQ_CONS (0x{Consumer():x})"));
                }
            }
            finally
            {
                _gate.Exit();
            }

            isLate = polls + 1 >= _pollLimit || !budget.TrySpend();
        }
    }

    /// <summary>Frees the queue; it is disabled.</summary>
    public void Dispose()
    {
        if (!_disposed)
        {
            _disposed = true;
            _memory.FreePages(_address, SmmuCommand.Bytes << _log2);
        }
    }

    // Called inside the gate.
    private void Put(ReadOnlySpan<SmmuCommand> commands, long ticket)
    {
        int first = (int)(_produced & (_size - 1));
        for (int i = 0; i < commands.Length; i++)
        {
            int slot = (first + i) & (_size - 1);
            Store(slot, commands[i]);
            _tickets[slot] = ticket;
            Volatile.Write(ref _produced, _produced + 1);
        }

        // The commands (and what was stored and flushed before them) must be in memory before the producer says so.
        int straight = Math.Min(commands.Length, _size - first);
        _memory.Flush(AddressOf(first), straight << SmmuCommand.BytesLog2);
        if (straight < commands.Length)
        {
            _memory.Flush(_address, (commands.Length - straight) << SmmuCommand.BytesLog2);
        }

        _memory.StoreBarrier();
        _registers.Write32(Registers.CMDQ_PROD, (uint)_produced & _positionMask);
    }

    private ulong AddressOf(int slot) => _address + ((ulong)slot << SmmuCommand.BytesLog2);

    private void Store(int slot, SmmuCommand command)
    {
        ulong address = AddressOf(slot);
        _memory.WriteQword(address, command.Word0);
        _memory.WriteQword(address + 8, command.Word1);
    }

    private uint Consumer() => _registers.Read32(Registers.CMDQ_CONS);

    // Called inside the gate: how far the hardware came, and what stopped it.
    private void Refresh()
    {
        uint consumer = Consumer();
        long step = (consumer - (uint)_consumed) & _positionMask;
        if (step <= _produced - _consumed)
        {
            _consumed += step;
        }

        uint error = _registers.Read32(Registers.GERROR);
        if (((error ^ _registers.Read32(Registers.GERRORN)) & Registers.GERROR_CMDQ_ERR) == 0)
        {
            return;
        }

        // With the error pending the queue stands still, so this look at the consumer is exact: it names the command.
        consumer = Consumer();
        step = (consumer - (uint)_consumed) & _positionMask;
        if (step < _produced - _consumed)
        {
            _consumed += step;
            RecordError((int)((consumer & Registers.CMDQ_CONS_ERR.WordMask) >> Registers.CMDQ_CONS_ERR.Shift));
        }

        // GERRORN[0] becomes GERROR[0]: the error is acknowledged and the queue goes on.
        _registers.Write32(Registers.GERRORN, error);
    }

    // The command at the consumer failed.
    private void RecordError(int code)
    {
        int slot = (int)(_consumed & (_size - 1));
        ulong address = AddressOf(slot);
        if (_failureCount == 0 || _failures[(_failureCount - 1) % FailuresKept].Position != _consumed)
        {
            var command = new SmmuCommand(_memory.ReadQword(address), _memory.ReadQword(address + 8));
            ref Failure entry = ref _failures[_failureCount++ % FailuresKept];
            _droppedTicket = Math.Max(_droppedTicket, entry.Ticket);
            entry = new Failure(_consumed, _tickets[slot], code, command);
        }

        // An ill-formed command would stop the queue again; an aborted fetch or a timed-out ATC_INV is tried once more.
        if (code == Registers.CERROR_ILL)
        {
            Store(slot, Formats.Commands.Sync());
            _memory.Flush(address, SmmuCommand.Bytes);
            _memory.StoreBarrier();
        }
    }

    private OpResult FailureOf(long ticket)
    {
        for (int i = 0; i < Math.Min(_failureCount, FailuresKept); i++)
        {
            Failure failure = _failures[i];
            if (failure.Ticket == ticket)
            {
                string name = Registers.CommandErrorName(failure.Code);
                return OpResult.Refuse(
                    Errno.EIO, Text($"the command queue reported {name} ({failure.Code}) for {failure.Command}"));
            }
        }

        // Older failures than are kept: without knowing, the operation is not called a success.
        return ticket <= _droppedTicket
            ? OpResult.Refuse(Errno.EIO, Text($"the command queue failed more than {FailuresKept} times meanwhile"))
            : OpResult.Ok;
    }

    private static string Text(FormattableString text) => text.ToString(CultureInfo.InvariantCulture);

    private readonly record struct Failure(long Position, long Ticket, int Code, SmmuCommand Command);
}
