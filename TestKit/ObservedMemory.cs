// SPDX-License-Identifier: Apache-2.0

namespace PasidFramework.TestKit;

/// <summary>
/// Memory that records what happens to it, can refuse allocations, and has a second face: what a walker reads that does
/// not snoop. Until memory is flushed that face shows garbage, as a cache line that was never written back would.
/// </summary>
/// <remarks>Safe for concurrent use.</remarks>
public sealed class ObservedMemory : PassingMemory
{
    /// <summary>Every bit set: valid entries with reserved bits, so that a walk that meets it fails.</summary>
    public const ulong Garbage = ulong.MaxValue;

    private const int PageShift = 12;
    private readonly Dictionary<ulong, ulong[]> _written = [];
    private readonly Lock _gate = new();
    private long _allocatedBytes;
    private int _failing;

    public ObservedMemory(ulong baseAddress = 0x1_0000_0000)
        : this(new SystemMemory(baseAddress))
    {
    }

    public ObservedMemory(IPhysicalMemory inner)
        : base(inner) => Walker = new WalkerFace(this);

    public List<MemoryStep> Steps { get; } = [];
    public bool IsRecording { get; set; } = true;
    public Action<MemoryStep>? OnStep { get; set; }

    /// <summary>Which allocation from now on is refused, from 1; 0: none.</summary>
    public int FailAllocation
    {
        get => _failing;
        set
        {
            _failing = value;
            Allocations = 0;
        }
    }

    /// <summary>Allocations that still succeed; null for all.</summary>
    public int? AllocationsLeft { get; set; }

    /// <summary>Allocations asked for since <see cref="FailAllocation"/> was set.</summary>
    public int Allocations { get; private set; }

    /// <summary>Bytes in live allocations.</summary>
    public long AllocatedBytes => Interlocked.Read(ref _allocatedBytes);

    /// <summary>What a walker reads that does not snoop.</summary>
    public IDeviceMemory Walker { get; }

    /// <summary>Words as a walker reads them that does not snoop.</summary>
    public ulong[] WalkerWords(ulong address, int words) =>
        [.. Enumerable.Range(0, words).Select(i => Walker.ReadQword(address + ((ulong)i * 8)))];

    /// <summary>Puts a step of something else among those of memory.</summary>
    public void Note(StepKind kind, ulong address = 0, ulong value = 0)
    {
        var step = new MemoryStep(kind, address, value);
        if (IsRecording)
        {
            lock (_gate)
            {
                Steps.Add(step);
            }
        }

        OnStep?.Invoke(step);
    }

    public override OpResult<ulong> AllocatePages(int bytes, int alignmentBytes = 4096)
    {
        if (++Allocations == FailAllocation || AllocationsLeft == 0)
        {
            return OpResult<ulong>.Refuse(Errno.ENOMEM, $"allocation {Allocations} is refused");
        }

        AllocationsLeft--;
        OpResult<ulong> result = base.AllocatePages(bytes, alignmentBytes);
        if (result.IsOk)
        {
            Interlocked.Add(ref _allocatedBytes, InPages(bytes));
            lock (_gate)
            {
                for (long page = 0; page < InPages(bytes) >> PageShift; page++)
                {
                    var words = new ulong[1 << (PageShift - 3)];
                    Array.Fill(words, Garbage);
                    _written[(result.Value >> PageShift) + (ulong)page] = words;
                }
            }

            Note(StepKind.Allocate, result.Value, (ulong)bytes);
        }

        return result;
    }

    public override void FreePages(ulong address, int bytes)
    {
        base.FreePages(address, bytes);
        Interlocked.Add(ref _allocatedBytes, -InPages(bytes));
        Note(StepKind.Free, address, (ulong)bytes);
    }

    public override void WriteQword(ulong address, ulong value)
    {
        base.WriteQword(address, value);
        Note(StepKind.Store, address, value);
    }

    public override void WriteDword(ulong address, uint value)
    {
        base.WriteDword(address, value);
        Note(StepKind.StoreDword, address, value);
    }

    public override void Write(ulong address, ReadOnlySpan<byte> source)
    {
        base.Write(address, source);
        Note(StepKind.StoreBytes, address, (ulong)source.Length);
    }

    public override void Flush(ulong address, int bytes)
    {
        base.Flush(address, bytes);
        lock (_gate)
        {
            for (ulong at = address & ~7UL; at < address + (ulong)bytes; at += 8)
            {
                if (_written.TryGetValue(at >> PageShift, out ulong[]? page))
                {
                    page[WordOf(at)] = Inner.ReadQword(at);
                }
            }
        }

        Note(StepKind.Flush, address, (ulong)bytes);
    }

    public override void StoreBarrier()
    {
        base.StoreBarrier();
        Note(StepKind.Barrier);
    }

    private static long InPages(int bytes) => (bytes + 4095L) & ~4095L;
    private static int WordOf(ulong address) => (int)(address >> 3) & ((1 << (PageShift - 3)) - 1);

    private sealed class WalkerFace(ObservedMemory memory) : IDeviceMemory
    {
        public ulong ReadQword(ulong address)
        {
            lock (memory._gate)
            {
                return memory._written.TryGetValue(address >> PageShift, out ulong[]? page) ? page[WordOf(address)] : 0;
            }
        }

        public uint ReadDword(ulong address) => (uint)(ReadQword(address & ~7UL) >> (int)((address & 4) * 8));
        public bool IsBacked(ulong address, long bytes) => memory.IsBacked(address, bytes);
        public void Read(ulong address, Span<byte> destination) => throw new NotSupportedException();
        public void WriteQword(ulong address, ulong value) => throw new NotSupportedException();
        public void WriteDword(ulong address, uint value) => throw new NotSupportedException();
        public void Write(ulong address, ReadOnlySpan<byte> source) => throw new NotSupportedException();
    }
}
