// SPDX-License-Identifier: Apache-2.0

namespace PasidFramework.Drivers.VirtioIommu.Tests.Support;

/// <summary>A store, flush or barrier of the driver, with what the memory held.</summary>
internal sealed record SeenAction(MemoryEventKind Kind, int Number, ulong Address, int Bytes, bool ChangesNothing);

/// <summary>
/// Stands between the driver and its hardware: writes down requests and actions, and changes one request just before
/// the
/// device can see it, as a driver would that wrote it so.
/// </summary>
internal sealed class RequestMutator(IIommuHardware inner, int target = -1, Func<byte[], byte[]>? change = null)
    : IIommuHardware, IPhysicalMemory, IRegisterFile
{
    private readonly ulong[] _descriptors = new ulong[2];
    private readonly ulong[] _available = new ulong[2];
    private readonly ulong[] _used = new ulong[2];
    private readonly List<int> _publishedAt = [];
    private uint _queue;
    private int _stores;
    private int _flushes;
    private int _barriers;

    /// <summary>What the device can read of each request, in order.</summary>
    public List<byte[]> Requests { get; } = [];

    public List<SeenAction> Actions { get; } = [];
    public HashSet<ulong> ProbePages { get; } = [];
    public bool Applied { get; private set; }
    public IPhysicalMemory Memory => this;
    public IRegisterFile Registers => this;
    public bool IsCoherent => inner.IsCoherent;
    public TranslationResult Translate(in DmaAccess access) => inner.Translate(access);

    public void Dispose()
    {
        // The hardware below belongs to whoever made it.
    }

    /// <summary>What an action is about.</summary>
    public string Kind(SeenAction action)
    {
        if (action.Kind == MemoryEventKind.Barrier)
        {
            int at = Actions.IndexOf(action);
            SeenAction? next = at + 1 < Actions.Count ? Actions[at + 1] : null;
            SeenAction? last = at > 0 ? Actions[at - 1] : null;
            return next is { Kind: MemoryEventKind.Store } && Place(next) is "request index" or "event index"
                ? $"barrier before {Place(next!)}"
                : last is not null && Place(last) is "request index" or "event index"
                    ? $"barrier after {Place(last!)}"
                    : last is not null && Place(last) == "start" ? "barrier of the start" : "barrier of the table";
        }

        return $"{(action.Kind == MemoryEventKind.Store ? "store" : "flush")} of {Place(action)}";
    }

    /// <summary>Where an action of a kind is among all.</summary>
    public int Find(MemoryEventKind kind, int number) => Actions.FindIndex(a => a.Kind == kind && a.Number == number);

    /// <summary>The request that is published next after an action, for people.</summary>
    public string PlaceOf(SeenAction action)
    {
        int at = Actions.IndexOf(action);
        int next = _publishedAt.FindIndex(p => p >= at);
        return next < 0 ? "after the last request"
            : $"0x{action.Address:x}, before request {next}: {Convert.ToHexString(Requests[next])}";
    }

    private string Place(SeenAction action)
    {
        ulong address = action.Address;
        for (int queue = 0; queue < 2; queue++)
        {
            string name = queue == 0 ? "request" : "event";
            if (action.Kind == MemoryEventKind.Flush && address == _descriptors[queue] && action.Bytes > 1024)
            {
                return "start";
            }

            if (address >= _descriptors[queue] && address < _available[queue])
            {
                return $"{name} descriptor";
            }

            if (address == _available[queue])
            {
                return $"{name} index";
            }

            if (address >= _available[queue] && address < _used[queue])
            {
                return $"{name} ring entry";
            }

            int size = (int)((_available[queue] - _descriptors[queue]) / 16);
            int bytes = queue == 0 ? RequestQueue.MemoryBytes(size) : EventQueue.MemoryBytes(size);
            if (address >= _used[queue] && address < _descriptors[queue] + (ulong)bytes)
            {
                return queue == 0 ? Word(action) : "event buffer";
            }
        }

        return ProbePages.Contains(address & ~0xFFFUL) ? "probe"
            : action.Kind == MemoryEventKind.Store ? $"table word {address / 8 % 8}" : "table";
    }

    // Which word of which request a store makes: the request is the next one that is published.
    private string Word(SeenAction action)
    {
        int at = Actions.IndexOf(action);
        int request = _publishedAt.FindIndex(p => p >= at);
        return action.Kind == MemoryEventKind.Store && request >= 0
            ? $"request of type {Requests[request][0]}, word {(action.Address & 127) / 8}"
            : "request";
    }

    public OpResult<ulong> AllocatePages(int bytes, int alignmentBytes = 4096) =>
        inner.Memory.AllocatePages(bytes, alignmentBytes);

    public void FreePages(ulong address, int bytes) => inner.Memory.FreePages(address, bytes);
    public ulong ReadQword(ulong address) => inner.Memory.ReadQword(address);
    public uint ReadDword(ulong address) => inner.Memory.ReadDword(address);
    public void Read(ulong address, Span<byte> destination) => inner.Memory.Read(address, destination);
    public bool IsBacked(ulong address, long bytes) => inner.Memory.IsBacked(address, bytes);

    public void WriteQword(ulong address, ulong value)
    {
        Note(address, inner.Memory.ReadQword(address) == value);
        inner.Memory.WriteQword(address, value);
    }

    public void WriteDword(ulong address, uint value)
    {
        if (address == _available[0])
        {
            Publish((ushort)((value >> 16) - 1));
        }

        Note(address, inner.Memory.ReadDword(address) == value);
        inner.Memory.WriteDword(address, value);
    }

    public void Write(ulong address, ReadOnlySpan<byte> source)
    {
        Span<byte> old = stackalloc byte[source.Length];
        inner.Memory.Read(address, old);
        Note(address & ~7UL, source.SequenceEqual(old));
        inner.Memory.Write(address, source);
    }

    public void Flush(ulong address, int bytes)
    {
        Actions.Add(new SeenAction(MemoryEventKind.Flush, _flushes++, address, bytes, false));
        inner.Memory.Flush(address, bytes);
    }

    public void StoreBarrier()
    {
        Actions.Add(new SeenAction(MemoryEventKind.Barrier, _barriers++, 0, 0, false));
        inner.Memory.StoreBarrier();
    }

    public uint Read32(int offset) => inner.Registers.Read32(offset);
    public ulong Read64(int offset) => inner.Registers.Read64(offset);

    public void Write32(int offset, uint value)
    {
        switch (offset)
        {
            case MmioRegister.QueueSel:
                _queue = value;
                break;
            case MmioRegister.QueueDescLow or MmioRegister.QueueDescHigh:
                Join(_descriptors, offset, value);
                break;
            case MmioRegister.QueueDriverLow or MmioRegister.QueueDriverHigh:
                Join(_available, offset, value);
                break;
            case MmioRegister.QueueDeviceLow or MmioRegister.QueueDeviceHigh:
                Join(_used, offset, value);
                break;
        }

        inner.Registers.Write32(offset, value);
    }

    public void Write64(int offset, ulong value)
    {
        Write32(offset, (uint)value);
        Write32(offset + 4, (uint)(value >> 32));
    }

    private void Join(ulong[] addresses, int offset, uint value) => addresses[_queue] = (offset & 4) == 0
        ? (addresses[_queue] & ~0xFFFF_FFFFUL) | value
        : (addresses[_queue] & 0xFFFF_FFFFUL) | ((ulong)value << 32);

    private void Note(ulong address, bool changesNothing) =>
        Actions.Add(new SeenAction(MemoryEventKind.Store, _stores++, address, 8, changesNothing));

    private void Publish(ushort position)
    {
        int size = (int)((_available[0] - _descriptors[0]) / 16);
        Span<byte> entry = stackalloc byte[2];
        inner.Memory.Read(_available[0] + 4 + (ulong)(position % size * 2), entry);
        ulong descriptor = _descriptors[0] + (ulong)((entry[0] | (entry[1] << 8)) * 16);
        ulong buffer = inner.Memory.ReadQword(descriptor);
        var request = new byte[inner.Memory.ReadDword(descriptor + 8)];
        inner.Memory.Read(buffer, request);
        if (request.Length > 0 && request[0] == 5)
        {
            ProbePages.Add(buffer & ~0xFFFUL);
        }

        Requests.Add(request);
        _publishedAt.Add(Actions.Count);
        if (Requests.Count - 1 != target)
        {
            return;
        }

        Applied = true;
        byte[] other = change!(request);
        inner.Memory.Write(buffer, other);
        inner.Memory.Flush(buffer, other.Length);
        inner.Memory.StoreBarrier();
    }
}
