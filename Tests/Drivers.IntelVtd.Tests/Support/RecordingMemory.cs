using PasidFramework.Hardware;
using PasidFramework.Results;

namespace PasidFramework.Drivers.IntelVtd.Tests;

internal enum EventKind
{
    Allocate,
    Free,
    Store,
    Flush,
    Barrier,
    RegisterWrite,
}

/// <summary>One thing that a driver did; the address of a register is its offset.</summary>
internal readonly record struct Event(EventKind Kind, ulong Address, ulong Value);

/// <summary>
/// Memory that records, can refuse the n-th allocation, and has a second face: what a walker sees that does not snoop.
/// Until memory is flushed that face shows garbage, as a cache line that was never written back would.
/// </summary>
internal sealed class RecordingMemory : IPhysicalMemory
{
    /// <summary>Every bit set: present entries with reserved bits, so that a walk that sees it always fails.</summary>
    public const ulong Garbage = ulong.MaxValue;

    private readonly SystemMemory _inner = new();
    private readonly Dictionary<ulong, ulong> _flushed = [];
    private readonly Lock _lock = new();

    public RecordingMemory() => Walker = new WalkerFace(this);

    public List<Event> Events { get; } = [];

    public bool IsRecording { get; set; } = true;

    /// <summary>Called after every store and flush; to check intermediate states.</summary>
    public Action? AfterStep { get; set; }

    /// <summary>Allocations that still succeed; null for all.</summary>
    public int? AllocationsLeft { get; set; }

    public long AllocatedBytes => _inner.AllocatedBytes;

    /// <summary>What a walker sees that does not snoop.</summary>
    public IPhysicalMemory Walker { get; }

    public OpResult<ulong> AllocatePages(int bytes, int alignmentBytes = 4096)
    {
        if (AllocationsLeft == 0)
        {
            return OpResult<ulong>.Refuse(Errno.ENOMEM, "the test's allocations are used up");
        }

        AllocationsLeft--;
        OpResult<ulong> result = _inner.AllocatePages(bytes, alignmentBytes);
        lock (_lock)
        {
            for (ulong at = result.Value; at < result.Value + (ulong)bytes; at += 8)
            {
                _flushed[at] = Garbage;
            }
        }

        Record(EventKind.Allocate, result.Value, (ulong)bytes);
        return result;
    }

    public void FreePages(ulong address, int bytes)
    {
        _inner.FreePages(address, bytes);
        Record(EventKind.Free, address, (ulong)bytes);
    }

    public ulong ReadQword(ulong address) => _inner.ReadQword(address);

    public void WriteQword(ulong address, ulong value)
    {
        _inner.WriteQword(address, value);
        Record(EventKind.Store, address, value);
        AfterStep?.Invoke();
    }

    public uint ReadDword(ulong address) => _inner.ReadDword(address);

    public void WriteDword(ulong address, uint value)
    {
        _inner.WriteDword(address, value);
        Record(EventKind.Store, address, value);
    }

    public void Read(ulong address, Span<byte> destination) => _inner.Read(address, destination);

    public void Write(ulong address, ReadOnlySpan<byte> source) => _inner.Write(address, source);

    public void Flush(ulong address, int bytes)
    {
        lock (_lock)
        {
            for (ulong at = address & ~7UL; at < address + (ulong)bytes; at += 8)
            {
                _flushed[at] = _inner.ReadQword(at);
            }
        }

        Record(EventKind.Flush, address, (ulong)bytes);
        AfterStep?.Invoke();
    }

    public void StoreBarrier()
    {
        _inner.StoreBarrier();
        Record(EventKind.Barrier, 0, 0);
    }

    public bool IsBacked(ulong address, long bytes) => _inner.IsBacked(address, bytes);

    public void Record(EventKind kind, ulong address, ulong value)
    {
        if (IsRecording)
        {
            lock (_lock)
            {
                Events.Add(new Event(kind, address, value));
            }
        }
    }

    private sealed class WalkerFace(RecordingMemory memory) : IPhysicalMemory
    {
        public ulong ReadQword(ulong address)
        {
            lock (memory._lock)
            {
                return memory._flushed.GetValueOrDefault(address);
            }
        }

        public uint ReadDword(ulong address) => (uint)(ReadQword(address & ~7UL) >> (int)((address & 4) * 8));

        public bool IsBacked(ulong address, long bytes) => memory.IsBacked(address, bytes);

        public void Read(ulong address, Span<byte> destination) => throw new NotSupportedException();

        public OpResult<ulong> AllocatePages(int bytes, int alignmentBytes = 4096) => throw new NotSupportedException();

        public void FreePages(ulong address, int bytes) => throw new NotSupportedException();

        public void WriteQword(ulong address, ulong value) => throw new NotSupportedException();

        public void WriteDword(ulong address, uint value) => throw new NotSupportedException();

        public void Write(ulong address, ReadOnlySpan<byte> source) => throw new NotSupportedException();

        public void Flush(ulong address, int bytes) => throw new NotSupportedException();

        public void StoreBarrier() => throw new NotSupportedException();
    }
}
