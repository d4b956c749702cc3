// SPDX-License-Identifier: Apache-2.0

namespace PasidFramework.Qemu.Hardware;

/// <summary>
/// A machine with an IOMMU and edu devices behind it. Each device stands for one PASID; what it stores is a mark of its
/// own, and the memory that shows the mark is the answer.
/// </summary>
/// <remarks>Safe for concurrent use: accesses come one after the other, beside whatever a driver does.</remarks>
internal abstract class QemuHardware : ITestHardware
{
    /// <summary>A PC without the interval timer, which is periodic from the start: where virtual time jumps to the next
    /// timer, QEMU would never be idle and take a whole processor.</summary>
    protected const string QuietPc = "q35,pit=off";

    private const int PageBytes = 4096;
    private const ulong PageMask = PageBytes - 1;
    private readonly Lock _gate = new();
    private readonly SortedSet<ulong> _targets = [];
    private readonly List<RequesterId> _requesters = [];
    private readonly Dictionary<RequesterId, QemuChannel> _channels = [];
    private List<string> _violations = [];

    /// <param name="machine">The machine; disposed with this.</param>
    protected QemuHardware(QemuMachine machine) => Machine = machine;

    public QemuMachine Machine { get; }
    public QemuMemory Ram => Machine.Memory;
    public IPhysicalMemory Memory => Ram;
    public abstract IRegisterFile Registers { get; }
    public bool IsCoherent => true;
    public IReadOnlyList<RequesterId> Requesters => _requesters;
    public abstract TestHardwareTraits Traits { get; }
    public virtual IReadOnlyDictionary<string, string> UnitOptions { get; } = new Dictionary<string, string>();

    /// <summary>The last fault record that an access left, 64-bit words, low word first; empty before the first
    /// one.</summary>
    public IReadOnlyList<ulong> LastFault { get; protected set; } = [];

    protected IEnumerable<QemuChannel> Channels => _channels.Values;

    public OpResult Prepare(RequesterId requester, Pasid pasid)
    {
        lock (_gate)
        {
            QemuChannel channel = Channel(requester);
            bool isOther = channel.Pasid is not null && channel.Pasid != pasid;
            if (isOther && channel.IsUsed && !IsForgotten(channel))
            {
                return OpResult.Refuse(Errno.EOPNOTSUPP,
                    $"{requester} stands for PASID {channel.Pasid} and has used it: it can stand for {pasid} after it "
                        + $"was removed");
            }

            OpResult armed = Arm(channel, pasid);
            if (armed.IsOk)
            {
                channel.IsUsed &= !isOther;
                channel.Pasid = pasid;
            }

            return armed;
        }
    }

    public OpResult<ulong> AllocateTarget()
    {
        OpResult<ulong> page = Ram.AllocatePages(PageBytes);
        if (page.IsOk)
        {
            lock (_gate)
            {
                _targets.Add(page.Value);
            }
        }

        return page;
    }

    /// <exception cref="ArgumentException">There is no such target.</exception>
    public void FreeTarget(ulong address)
    {
        lock (_gate)
        {
            if (!_targets.Remove(address))
            {
                throw new ArgumentException(Text($"0x{address:x} is no target"), nameof(address));
            }
        }

        Ram.FreePages(address, PageBytes);
    }

    public abstract bool NamesPasid(RequesterId requester, Pasid pasid);

    public IReadOnlyList<string> TakeViolations()
    {
        lock (_gate)
        {
            List<string> taken = _violations;
            _violations = [];
            return taken;
        }
    }

    public virtual void DropCaches()
    {
    }

    /// <remarks>
    /// The device stores 4 bytes. Where they land in no target and no fault was recorded, all memory that was allocated
    /// is searched: another process's memory that was hit is a violation.
    /// </remarks>
    /// <exception cref="ArgumentException">The device does not stand for this PASID, or the access is a
    /// load.</exception>
    public TranslationResult Translate(in DmaAccess access)
    {
        lock (_gate)
        {
            QemuChannel channel = Channel(access.Requester);
            if (channel.Pasid is not { } pasid || access.Pasid != pasid)
            {
                throw new ArgumentException(
                    $"{access.Requester} does not stand for PASID {access.Pasid?.ToString() ?? "(none)"}",
                    nameof(access));
            }

            if (!access.IsWrite)
            {
                throw new ArgumentException("only stores can be seen", nameof(access));
            }

            BeforeAccess(channel, pasid);
            TranslationResult result = Store(channel, access.Address);
            channel.IsUsed = true;
            return result;
        }
    }

    public void Dispose() => Machine.Dispose();

    /// <summary>Starts a machine and wraps it; none is left behind where that fails.</summary>
    /// <param name="devices">How many devices, 1 to <paramref name="most"/>.</param>
    /// <exception cref="QemuException">It does not start.</exception>
    protected static T Start<T>(int devices, int most, Func<QemuMachineSetup> setup, Func<QemuMachine, T> wrap)
    {
        ArgumentOutOfRangeException.ThrowIfLessThan(devices, 1);
        ArgumentOutOfRangeException.ThrowIfGreaterThan(devices, most);
        QemuMachine machine = QemuMachine.Start(setup());
        try
        {
            return wrap(machine);
        }
        catch
        {
            machine.Dispose();
            throw;
        }
    }

    /// <summary>The command line's part that makes edu devices, from a slot of bus 0 on.</summary>
    protected static IEnumerable<string> EduArguments(int firstSlot, int count) => Enumerable.Range(firstSlot, count)
        .SelectMany(slot => (string[])["-device", Text($"edu,addr={slot:x}.0,dma_mask=0xffffffffffffffff")]);

    /// <summary>Sets the devices up while nothing is translated. Each takes its mark then and keeps it, because it only
    /// stores from there on.</summary>
    protected void AddDevices(IPciConfiguration pci, int firstSlot, int count, ulong firstBar)
    {
        const ulong BarStride = 0x10_0000;
        const uint Mark = 0xD5EE_0000;
        ulong page = Ram.AllocatePages(PageBytes).Value;
        for (int i = 0; i < count; i++)
        {
            var requester = new RequesterId((uint)(firstSlot + i) << 3);
            var edu = new EduDevice(Machine, pci, requester, firstBar + ((ulong)i * BarStride));
            uint mark = Mark | requester.Value;
            Ram.WriteDword(page, mark);
            edu.Load(page);
            _requesters.Add(requester);
            _channels.Add(requester, new QemuChannel(edu, mark));
        }

        // What was loaded must be what is stored, or every store would count as aborted.
        foreach (QemuChannel channel in _channels.Values)
        {
            Ram.WriteDword(page, 0);
            channel.Edu.Store(page);
            if (Ram.ReadDword(page) != channel.Mark)
            {
                throw new QemuException(
                    $"{Machine.Setup.Installation}: the edu device {channel.Edu.Requester} does not reach memory");
            }
        }

        Ram.FreePages(page, PageBytes);
    }

    /// <summary>Makes requests of a device use the PASID, if it can.</summary>
    protected abstract OpResult Arm(QemuChannel channel, Pasid pasid);

    /// <summary>Whether QEMU cannot have kept for what a device stood, although it was used.</summary>
    protected virtual bool IsForgotten(QemuChannel channel) => false;

    /// <summary>Removes old fault records and does what the device's PASID needs.</summary>
    protected abstract void BeforeAccess(QemuChannel channel, Pasid pasid);

    /// <summary>The fault record that an access left; null where there is none. It stays for the driver.</summary>
    protected abstract TranslationResult? Fault();

    protected void BetweenAccesses(Action action)
    {
        lock (_gate)
        {
            action();
        }
    }

    private QemuChannel Channel(RequesterId requester) => _channels.TryGetValue(requester, out QemuChannel? channel)
        ? channel
        : throw new ArgumentException($"there is no device {requester}", nameof(requester));

    private TranslationResult Store(QemuChannel channel, ulong address)
    {
        // Translation keeps the offset in a page.
        ulong offset = address & PageMask & ~3UL;
        ulong low = address & 3;
        ulong word = address & ~3UL;
        bool mayBypass = Ram.IsBacked(word, 4) && !_targets.Contains(word & ~PageMask);
        uint atSameAddress = mayBypass ? Ram.ReadDword(word) : 0;
        uint[] before = new uint[_targets.Count];
        int i = 0;
        foreach (ulong page in _targets)
        {
            before[i++] = Ram.ReadDword(page + offset);
        }

        channel.Edu.Store(word);
        List<ulong>? hits = null;
        i = 0;
        foreach (ulong page in _targets)
        {
            if (Ram.ReadDword(page + offset) == channel.Mark && before[i] != channel.Mark)
            {
                (hits ??= []).Add(page + offset);
                Ram.WriteDword(page + offset, before[i]);
            }

            i++;
        }

        TranslationResult? fault = Fault();
        if (mayBypass && atSameAddress != channel.Mark && Ram.ReadDword(word) == channel.Mark)
        {
            Ram.WriteDword(word, atSameAddress);
            if (hits is null)
            {
                return new TranslationResult(TranslationStatus.Bypassed, address, 0, 0, null);
            }

            hits.Add(word);
        }

        if (hits is null && fault is null && Stray(channel.Mark, offset) is { } stray)
        {
            _violations.Add(Text(
                $"a store of {channel.Edu.Requester} to 0x{address:x} landed at 0x{stray:x}, which is no target"));
            hits = [stray];
        }

        if (hits is null)
        {
            return fault ?? new TranslationResult(TranslationStatus.AbortedQuietly, 0, 0, 0, null);
        }

        if (hits.Count > 1)
        {
            _violations.Add(Text(
                $"one store of {channel.Edu.Requester} to 0x{address:x} landed at "
                    + $"{string.Join(", ", hits.Select(h => Text($"0x{h:x}")))}"));
        }

        if (fault is { } unexpected)
        {
            _violations.Add(Text(
                $"a store of {channel.Edu.Requester} to 0x{address:x} landed at 0x{hits[0]:x} and left a fault record: "
                    + $"{unexpected.Reason}"));
        }

        return new TranslationResult(TranslationStatus.Translated, hits[0] | low, 0, 0, null);
    }

    // What was there is not known: the mark is taken out, so that it is not found again.
    private ulong? Stray(uint mark, ulong offset)
    {
        for (ulong at = Ram.FirstPage + offset; at < Ram.EndOfUsed; at += PageBytes)
        {
            if (Ram.ReadDword(at) == mark)
            {
                Ram.WriteDword(at, 0);
                return at;
            }
        }

        return null;
    }
}

/// <summary>One device and the PASID that it stands for.</summary>
/// <param name="mark">What it stores.</param>
internal sealed class QemuChannel(EduDevice edu, uint mark)
{
    private volatile bool _isUsed;
    public EduDevice Edu { get; } = edu;
    public uint Mark { get; } = mark;

    /// <summary>The PASID that it stands for; null before the first one.</summary>
    public Pasid? Pasid { get; set; }

    /// <summary>Whether it has accessed memory with its PASID, so that QEMU may have cached how.</summary>
    public bool IsUsed
    {
        get => _isUsed;
        set => _isUsed = value;
    }
}
