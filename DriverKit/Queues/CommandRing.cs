// SPDX-License-Identifier: Apache-2.0
using System.Numerics;
using PasidFramework.Allocation;
using PasidFramework.DriverKit.Units;

namespace PasidFramework.DriverKit.Queues;

/// <summary>
/// A ring of commands in memory with a doorbell: any number of threads write, each waits for its own commands.
/// </summary>
/// <remarks>
/// Positions are counted in 64 bits; registers have the low bits of them. The gate covers writing commands, ringing,
/// and reading the consumer; no thread waits for hardware inside it. Neither submission nor wait allocates unless it is
/// refused.
/// </remarks>
public abstract class CommandRing : IDisposable
{
    private readonly IPhysicalMemory _memory;
    private readonly CommandRingShape _shape;
    private readonly PollTimeout _timeout;
    private readonly int _slotMask;
    private readonly int _bytesLog2;
    private SpinGate _gate;
    private long _produced;
    private long _consumed;
    private bool _disposed;

    /// <summary>Makes an empty ring over memory that it frees when it is disposed.</summary>
    /// <param name="memory">Where it is.</param>
    /// <param name="shape">Its address, size and rules.</param>
    /// <param name="timeout">How long hardware may make no progress.</param>
    protected CommandRing(IPhysicalMemory memory, CommandRingShape shape, PollTimeout timeout)
    {
        _memory = memory;
        _shape = shape;
        _timeout = timeout;
        _slotMask = (1 << shape.SlotsLog2) - 1;
        _bytesLog2 = BitOperations.Log2((uint)shape.CommandWords) + 3;
        Capacity = shape.CanFill ? _slotMask + 1 : _slotMask;
    }

    /// <summary>Commands written so far, fences and closing ones included.</summary>
    public long Commands => Volatile.Read(ref _produced);

    /// <summary>Places of the ring, a power of two.</summary>
    public int Slots => _slotMask + 1;

    /// <summary>Commands that it holds at most.</summary>
    public int Capacity { get; }

    /// <summary>64-bit words of a command.</summary>
    internal int CommandWords => _shape.CommandWords;

    /// <summary>Whether the commands of a submission stay together.</summary>
    internal bool IsWhole => _shape.IsWhole;

    /// <summary>Physical byte address of the first place.</summary>
    protected ulong Address => _shape.Address;

    /// <summary>Position of the first command that hardware has not consumed; inside the gate.</summary>
    protected long Consumed => _consumed;

    /// <summary>Writes commands in order and rings, waiting for room where the ring is full.</summary>
    /// <param name="commands">The commands, with a closing one where the architecture needs it to wait.</param>
    /// <param name="ticket">The submission that they belong to, the default for a new one.</param>
    /// <returns>Success; ETIMEDOUT where no room came, or the ring's error: what was written stays written.</returns>
    /// <exception cref="ArgumentException">They stay together and can never fit.</exception>
    public OpResult Submit(Span<ulong> commands, ref CommandTicket ticket)
    {
        if (_shape.IsWhole && commands.Length > Capacity * _shape.CommandWords)
        {
            throw new ArgumentException(
                $"{commands.Length / _shape.CommandWords} commands do not fit a ring of {Capacity}.", nameof(commands));
        }

        PollBudget budget = _timeout.Start();
        while (true)
        {
            int words = Write(commands, ref ticket);
            commands = commands[words..];
            if (commands.IsEmpty)
            {
                return OpResult.Ok;
            }

            budget = words > 0 ? _timeout.Start() : budget;
            OpResult state = CheckErrors();
            if (!state.IsOk || !budget.TrySpend())
            {
                return state.IsOk ? TimedOut(isFull: true, budget.Polls) : state;
            }
        }
    }

    /// <summary>Waits until hardware has carried out everything that was submitted with a ticket.</summary>
    /// <returns>Success; ETIMEDOUT; the error of a command of the submission, or of the ring.</returns>
    public OpResult WaitForCompletion(CommandTicket ticket)
    {
        PollBudget budget = _timeout.Start();
        for (bool isLate = false; ; isLate = !budget.TrySpend())
        {
            if (TryComplete(ticket, isLate, out OpResult result))
            {
                return result;
            }

            result = result.IsOk ? CheckErrors() : result;
            if (!result.IsOk || isLate)
            {
                return result.IsOk ? TimedOut(isFull: false, budget.Polls) : result;
            }
        }
    }

    public void Dispose()
    {
        if (!_disposed)
        {
            _disposed = true;
            FreeMemory();
        }

        GC.SuppressFinalize(this);
    }

    /// <summary>Encodes the command that orders what follows after the completion of what came before.</summary>
    /// <param name="command">Zeroed words.</param>
    protected internal abstract void EncodeFence(Span<ulong> command);

    /// <summary>Encodes the command that a submission ends with, so that it can be waited for.</summary>
    /// <param name="command">Zeroed words.</param>
    /// <param name="drain">Whether page requests in flight are waited for as well, where hardware has that.</param>
    protected internal virtual void EncodeClosing(Span<ulong> command, bool drain) => EncodeFence(command);

    /// <summary>A command is about to be stored: fills in what depends on its place; inside the gate.</summary>
    /// <param name="slot">Its place.</param>
    /// <param name="ticket">The submission; the last one's changes are its caller's.</param>
    protected abstract void Prepare(Span<ulong> command, int slot, ref CommandTicket ticket);

    /// <summary>Reads the consumer from its register: the low bits of a position, in commands.</summary>
    protected abstract uint ReadConsumer();

    /// <summary>Rings: hardware may consume up to a position. What it is about was stored and ordered.</summary>
    protected abstract void Notify(long producer);

    /// <summary>Follows the consumer; inside the gate. An override that handles errors calls it first.</summary>
    protected virtual void Refresh() => Advance(ReadConsumer());

    /// <summary>Polls once whether hardware is past a submission.</summary>
    /// <param name="ticket">The submission.</param>
    /// <param name="isLate">Whether this is the last poll.</param>
    /// <param name="result">Its result; where it is not complete, its error if one is known at the last poll.</param>
    protected virtual bool TryComplete(CommandTicket ticket, bool isLate, out OpResult result)
    {
        _gate.Enter();
        try
        {
            if (_consumed <= ticket.Last)
            {
                Refresh();
            }

            bool isComplete = _consumed > ticket.Last;
            result = isComplete || isLate ? ResultOf(ticket) : OpResult.Ok;
            return isComplete;
        }
        finally
        {
            _gate.Exit();
        }
    }

    /// <summary>The error of one of a submission's commands, as far as it is known; inside the gate.</summary>
    protected virtual OpResult ResultOf(CommandTicket ticket) => OpResult.Ok;

    /// <summary>After each poll in vain, outside the gate: whether hardware has stopped for good.</summary>
    protected virtual OpResult CheckErrors() => OpResult.Ok;

    /// <summary>The refusal of a wait that took too long.</summary>
    /// <param name="isFull">Whether it was one for room.</param>
    /// <param name="polls">Polls without progress.</param>
    protected abstract OpResult TimedOut(bool isFull, int polls);

    /// <summary>Frees the memory, once; hardware does not read it any more.</summary>
    protected virtual void FreeMemory() => _memory.FreePages(_shape.Address, Slots << _bytesLog2);

    /// <summary>Physical byte address of a place.</summary>
    protected ulong AddressOf(int slot) => _shape.Address + ((ulong)slot << _bytesLog2);

    /// <summary>The place of a position.</summary>
    protected int SlotOf(long position) => (int)position & _slotMask;

    /// <summary>Moves the consumer to a register's value, unless nothing was written there yet; inside the
    /// gate.</summary>
    /// <returns>Whether a command is there that hardware has not consumed.</returns>
    protected bool Advance(uint consumer)
    {
        uint mask = _shape.CanFill ? ((uint)_slotMask << 1) | 1 : (uint)_slotMask;
        long step = (consumer - (uint)_consumed) & mask;
        bool exists = step < _produced - _consumed;
        if (exists || step == _produced - _consumed)
        {
            _consumed += step;
        }

        return exists;
    }

    /// <summary>Stores a command into a place and writes it back, in order before the next store; inside the
    /// gate.</summary>
    protected void Replace(int slot, ReadOnlySpan<ulong> command)
    {
        Store(slot, command);
        _memory.Flush(AddressOf(slot), 1 << _bytesLog2);
        _memory.StoreBarrier();
    }

    // Words written: all, those for which there is room, or none.
    private int Write(Span<ulong> commands, ref CommandTicket ticket)
    {
        int wanted = commands.Length / _shape.CommandWords;
        int needed = _shape.IsWhole ? wanted : 1;
        _gate.Enter();
        try
        {
            if (Capacity - (_produced - _consumed) < needed)
            {
                Refresh();
            }

            int count = (int)Math.Min(wanted, Capacity - (_produced - _consumed));
            if (count < needed)
            {
                return 0;
            }

            int first = SlotOf(_produced);
            for (int i = 0; i < count; i++)
            {
                int slot = SlotOf(_produced + i);
                Span<ulong> command = commands.Slice(i * _shape.CommandWords, _shape.CommandWords);
                Prepare(command, slot, ref ticket);
                Store(slot, command);
            }

            // The commands (and what was stored and flushed before them) are in memory before the doorbell says so.
            int straight = Math.Min(count, Slots - first);
            _memory.Flush(AddressOf(first), straight << _bytesLog2);
            if (straight < count)
            {
                _memory.Flush(_shape.Address, (count - straight) << _bytesLog2);
            }

            _memory.StoreBarrier();
            Volatile.Write(ref _produced, _produced + count);
            ticket = ticket with { Last = _produced - 1 };
            Notify(_produced);
            return count * _shape.CommandWords;
        }
        finally
        {
            _gate.Exit();
        }
    }

    private void Store(int slot, ReadOnlySpan<ulong> command)
    {
        ulong address = AddressOf(slot);
        for (int i = 0; i < command.Length; i++)
        {
            _memory.WriteQword(address + ((ulong)i * 8), command[i]);
        }
    }
}
