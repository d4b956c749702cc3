using PasidFramework.Contracts;
using PasidFramework.Hardware;
using PasidFramework.Identifiers;
using PasidFramework.Results;

namespace PasidFramework.Drivers.ArmSmmu.Tests.Support;

internal enum StepKind
{
    Store,
    Flush,
    Barrier,
    Configuration,
    Path,
    Translations,
}

/// <summary>Something that happened to memory, or a synchronisation that was asked for.</summary>
internal readonly record struct Step(StepKind Kind, ulong Address, ulong Value)
{
    public override string ToString() => $"{Kind} 0x{Address:x} 0x{Value:x}";
}

/// <summary>
/// Memory that writes down what happens, and that shows what a walker without snooping would see: a page that was
/// allocated holds old rubbish until its zeroes are flushed.
/// </summary>
internal sealed class RecordingMemory : IPhysicalMemory
{
    public const ulong Rubbish = 0xDEAD_BEEF_DEAD_BEEF;

    private readonly Dictionary<ulong, ulong> _visible = [];
    private int _allocations;

    public RecordingMemory(ulong baseAddress = 0x8_4000_0000) => Inner = new SystemMemory(baseAddress);

    public SystemMemory Inner { get; }

    public List<Step> Steps { get; } = [];

    /// <summary>Called after each step.</summary>
    public Action<Step>? OnStep { get; set; }

    /// <summary>Which allocation is refused, counted from the last time it was set; 0: none.</summary>
    public int FailAllocation
    {
        get;
        set
        {
            field = value;
            _allocations = 0;
        }
    }

    public long AllocatedBytes => Inner.AllocatedBytes;

    /// <summary>What a walker that does not snoop reads.</summary>
    public ulong Visible(ulong address) => _visible.GetValueOrDefault(address);

    public ulong[] VisibleWords(ulong address, int words) =>
        [.. Enumerable.Range(0, words).Select(i => Visible(address + ((ulong)i * 8)))];

    public void Note(StepKind kind, ulong address = 0, ulong value = 0)
    {
        var step = new Step(kind, address, value);
        Steps.Add(step);
        OnStep?.Invoke(step);
    }

    public OpResult<ulong> AllocatePages(int bytes, int alignmentBytes = 4096)
    {
        if (++_allocations == FailAllocation)
        {
            return OpResult<ulong>.Refuse(Errno.ENOMEM, $"allocation {_allocations} is refused");
        }

        OpResult<ulong> result = Inner.AllocatePages(bytes, alignmentBytes);
        for (ulong at = result.Value; at < result.Value + (ulong)bytes; at += 8)
        {
            _visible[at] = Rubbish;
        }

        return result;
    }

    public void FreePages(ulong address, int bytes) => Inner.FreePages(address, bytes);

    public ulong ReadQword(ulong address) => Inner.ReadQword(address);

    public void WriteQword(ulong address, ulong value)
    {
        Inner.WriteQword(address, value);
        Note(StepKind.Store, address, value);
    }

    public uint ReadDword(ulong address) => Inner.ReadDword(address);

    public void WriteDword(ulong address, uint value) =>
        throw new NotSupportedException("Entries are written by 64 bits.");

    public void Read(ulong address, Span<byte> destination) => Inner.Read(address, destination);

    public void Write(ulong address, ReadOnlySpan<byte> source) =>
        throw new NotSupportedException("Entries are written by 64 bits.");

    public void Flush(ulong address, int bytes)
    {
        for (ulong at = address & ~7UL; at < address + (ulong)bytes; at += 8)
        {
            _visible[at] = Inner.ReadQword(at);
        }

        Note(StepKind.Flush, address, (ulong)bytes);
    }

    public void StoreBarrier()
    {
        Inner.StoreBarrier();
        Note(StepKind.Barrier);
    }

    public bool IsBacked(ulong address, long bytes) => Inner.IsBacked(address, bytes);
}

/// <summary>Writes synchronisations down among the stores; fails on demand.</summary>
internal sealed class RecordingSync(RecordingMemory memory) : IPasidTableSync
{
    /// <summary>Which call is refused, counted from 1; 0: none.</summary>
    public int FailCall { get; set; }

    public int Calls { get; private set; }

    public OpResult ConfigurationChanged(Pasid pasid, bool leafOnly)
    {
        memory.Note(leafOnly ? StepKind.Configuration : StepKind.Path, pasid.Value);
        return Answer();
    }

    public OpResult TranslationsChanged(Pasid pasid, uint archId)
    {
        memory.Note(StepKind.Translations, pasid.Value, archId);
        return Answer();
    }

    private OpResult Answer() =>
        ++Calls == FailCall ? OpResult.Refuse(Errno.ETIMEDOUT, $"call {Calls} is refused") : OpResult.Ok;
}
