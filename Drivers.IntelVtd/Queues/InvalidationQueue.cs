using System.Globalization;
using PasidFramework.DriverKit.Units;
using PasidFramework.Allocation;
using PasidFramework.Drivers.IntelVtd.Formats;
using PasidFramework.Hardware;
using PasidFramework.Records;
using PasidFramework.Results;

namespace PasidFramework.Drivers.IntelVtd.Queues;

/// <summary>
/// The unit's invalidation queue, 256-bit descriptors. Safe for concurrent use: a short gate around writing and
/// ringing, none around waiting. Intel VT-d, D51397-018 (rev 5.10), section 6.5.2.
/// </summary>
/// <remarks>
/// Every submission ends with a wait descriptor that writes a number to one status word. Numbers rise with the queue,
/// and a wait completes after every descriptor ahead of it, earlier waits included: so the word only rises, and a
/// submission is complete when the word has reached its number. One word serves any number of waiters, and no slot must
/// be kept until its owner has looked.
/// </remarks>
internal sealed class InvalidationQueue : IDisposable
{
    private const uint Errors = FaultStatusBits.IQE | FaultStatusBits.ICE | FaultStatusBits.ITE;

    private readonly IPhysicalMemory _memory;
    private readonly IRegisterFile _registers;
    private readonly TimeProvider _time;
    private readonly TimeSpan _timeout;
    private readonly int _pagesLog2;
    private readonly ulong _base;
    private readonly ulong _status;
    private readonly int _slots;
    private SpinGate _gate;
    private int _head;
    private int _tail;
    private uint _sequence;
    private long _commands;
    private bool _disposed;

    private InvalidationQueue(
        IPhysicalMemory memory,
        IRegisterFile registers,
        TimeProvider time,
        TimeSpan timeout,
        int pagesLog2,
        ulong queue,
        ulong status,
        uint sequence)
    {
        _memory = memory;
        _registers = registers;
        _time = time;
        _timeout = timeout;
        _pagesLog2 = pagesLog2;
        _base = queue;
        _status = status;
        _slots = (4096 << pagesLog2) / Invalidation.SizeBytes;
        _sequence = sequence;
        if (sequence != 0)
        {
            memory.WriteDword(status, sequence);
        }
    }

    /// <summary>Descriptors written so far, waits included.</summary>
    public long Commands => Interlocked.Read(ref _commands);

    /// <summary>How many descriptors it holds; one slot always stays free.</summary>
    public int Slots => _slots;

    /// <summary>What to write to IQA: base, 256-bit descriptors, size.</summary>
    public ulong AddressRegister =>
        _base | 0UL.With(QueueAddress.DW, 1).With(QueueAddress.QS, (ulong)_pagesLog2);

    private int Bytes => 4096 << _pagesLog2;

    /// <summary>Takes memory for a queue.</summary>
    /// <param name="memory">Memory that the hardware reads.</param>
    /// <param name="registers">The unit's registers.</param>
    /// <param name="time">The clock that bounds waiting.</param>
    /// <param name="timeout">Longest wait.</param>
    /// <param name="pagesLog2">2^this pages, 0 to 7.</param>
    /// <param name="sequence">Number of the last wait before the first.</param>
    /// <returns>The queue; ENOMEM.</returns>
    public static OpResult<InvalidationQueue> Create(
        IPhysicalMemory memory,
        IRegisterFile registers,
        TimeProvider time,
        TimeSpan timeout,
        int pagesLog2,
        uint sequence = 0)
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

        return OpResult<InvalidationQueue>.Ok(new InvalidationQueue(
            memory, registers, time, timeout, pagesLog2, queue.Value, status.Value, sequence));
    }

    /// <summary>Submits descriptors and a wait, and returns when they have completed.</summary>
    /// <param name="descriptors">Four words each; the status of waits among them is filled in.</param>
    /// <param name="drain">Whether the closing wait drains page requests.</param>
    /// <returns>Success; ETIMEDOUT; EIO where the queue stopped or a device did not answer.</returns>
    public OpResult Submit(Span<ulong> descriptors, bool drain = false)
    {
        int count = (descriptors.Length / Invalidation.Words) + 1;
        if (count > _slots - 1)
        {
            throw new ArgumentException(
                $"{count} descriptors do not fit a queue of {_slots} slots.", nameof(descriptors));
        }

        var budget = new PollBudget(_time, _timeout);
        uint last;
        while (!TryWrite(descriptors, count, drain, out last))
        {
            OpResult state = Continue(ref budget);
            if (!state.IsOk)
            {
                return state;
            }
        }

        // The difference is taken modulo 2^32, so numbers may start over.
        while ((int)(_memory.ReadDword(_status) - last) < 0)
        {
            OpResult state = Continue(ref budget);
            if (!state.IsOk)
            {
                return state;
            }
        }

        return OpResult.Ok;
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        if (!_disposed)
        {
            _disposed = true;
            _memory.FreePages(_base, Bytes);
            _memory.FreePages(_status, 4096);
        }
    }

    private bool TryWrite(Span<ulong> descriptors, int count, bool drain, out uint last)
    {
        _gate.Enter();
        try
        {
            last = 0;
            if (Room() < count)
            {
                _head = (int)(_registers.Read64(VtdRegisters.IQH) / Invalidation.SizeBytes);
                if (Room() < count)
                {
                    return false;
                }
            }

            int first = _tail;
            for (int i = 0; i < descriptors.Length; i += Invalidation.Words)
            {
                Span<ulong> words = descriptors.Slice(i, Invalidation.Words);
                if (words.Get(Invalidation.Type) == Invalidation.Wait)
                {
                    Number(words);
                }

                Store(words);
            }

            Span<ulong> wait = stackalloc ulong[Invalidation.Words];
            wait.Clear();
            wait.Set(Invalidation.Type, Invalidation.Wait);
            wait.Set(InvWait.SW, 1);
            wait.Set(InvWait.PD, drain ? 1u : 0);
            last = Number(wait);
            Store(wait);

            Flush(first);
            Interlocked.Add(ref _commands, count);
            _memory.StoreBarrier();
            _registers.Write64(VtdRegisters.IQT, (ulong)_tail * Invalidation.SizeBytes);
            return true;
        }
        finally
        {
            _gate.Exit();
        }
    }

    // Full is when the tail is one behind the head, so that full and empty differ.
    private int Room() => (_head - _tail - 1 + _slots) % _slots;

    private uint Number(Span<ulong> wait)
    {
        _sequence++;
        wait.Set(InvWait.STATUS_DATA, _sequence);
        wait.SetAddress(InvWait.STATUS_ADDR, _status);
        return _sequence;
    }

    private void Store(ReadOnlySpan<ulong> words)
    {
        ulong at = _base + ((ulong)_tail * Invalidation.SizeBytes);
        for (int i = 0; i < Invalidation.Words; i++)
        {
            _memory.WriteQword(at + ((ulong)i * 8), words[i]);
        }

        _tail = (_tail + 1) % _slots;
    }

    // All slots from one up to the tail, which may lie behind the ring's end.
    private void Flush(int first)
    {
        if (_tail < first)
        {
            FlushSlots(first, _slots);
            first = 0;
        }

        FlushSlots(first, _tail);
    }

    private void FlushSlots(int first, int end)
    {
        if (first < end)
        {
            _memory.Flush(
                _base + ((ulong)first * Invalidation.SizeBytes), (end - first) * Invalidation.SizeBytes);
        }
    }

    private OpResult Continue(ref PollBudget budget)
    {
        uint status = _registers.Read32(VtdRegisters.FSTS);
        if ((status & Errors) != 0)
        {
            ulong cause = _registers.Read64(VtdRegisters.IQERCD);
            ulong head = _registers.Read64(VtdRegisters.IQH);
            return OpResult.Refuse(Errno.EIO, string.Create(
                CultureInfo.InvariantCulture,
                $"the invalidation queue stopped at 0x{head:x}: FSTS 0x{status:x}, IQERCD 0x{cause:x}"));
        }

        return budget.TrySpend()
            ? OpResult.Ok
            : OpResult.Refuse(Errno.ETIMEDOUT, string.Create(
                CultureInfo.InvariantCulture,
                $"an invalidation did not complete within {_timeout.TotalMilliseconds} ms"));
    }
}
