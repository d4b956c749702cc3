// SPDX-License-Identifier: Apache-2.0

namespace PasidFramework.Conformance.Bench;

/// <summary>What devices reach, and whether they may.</summary>
internal sealed partial class TestBench
{
    /// <summary>Offset in the page of every probe: not 0, so that a lost one shows.</summary>
    public const ulong Offset = 0x148;

    // What each device has sent last: one that was removed can go on with that.
    private readonly Dictionary<RequesterId, uint> _ready = [];
    private int _accesses;
    public IReadOnlyList<ulong> Probed => [First, First + 0x1000, First + ((Pages - 1) * 0x1000UL), Far];

    /// <summary>Adds a pair to those that <see cref="ProbeAll"/> tries.</summary>
    public void Watch(RequesterId requester, uint pasid) => _watched.Add((requester, pasid));

    /// <summary>Probes from every device with every PASID that is or was in use, twice: the second round finds what the
    /// first one left in a cache.</summary>
    public void ProbeAll()
    {
        IEnumerable<(RequesterId, uint)> pairs = Has(TestHardwareTraits.ManyPasids)
            ? from requester in _everAdded
              from pasid in _watched.Select(w => w.Pasid).Distinct()
              select (requester, pasid)
            : _watched;
        ProbeTwice([.. pairs]);
    }

    /// <summary>Takes steps, and probes all after each.</summary>
    public void ProbeAfterEach(params ReadOnlySpan<Action> steps)
    {
        foreach (Action step in steps)
        {
            step();
            ProbeAll();
        }
    }

    /// <summary>Probes from one device with one PASID, twice.</summary>
    public void Probe(BenchDevice device, uint pasid) => ProbeTwice([(device.Requester, pasid)]);

    /// <summary>One access, judged; quietly left out where this machine cannot make it.</summary>
    /// <returns>What became of it; null where it could not be made.</returns>
    public TranslationResult? Probe(RequesterId requester, uint pasid, ulong address)
    {
        if (TryAccess(requester, pasid, address, out bool isWrite) is not { } result)
        {
            return null;
        }

        Expected? expected = _expected.Find(requester, pasid);
        Judge(requester, pasid, address, isWrite, result, expected?.Process,
            mayBeBlocked: expected is not { IsBound: true });
        return result;
    }

    /// <summary>Before a step: between any two stores of it these pairs reach this process's memory or nothing, and no
    /// else's.</summary>
    /// <param name="dropAt">After how many stores, flushes and barriers the caches are emptied once; negative for
    /// never.</param>
    public void DuringNext(TestProcess process, int dropAt, params (BenchDevice Device, uint Pasid)[] pairs)
    {
        int changes = 0;
        foreach ((BenchDevice device, uint pasid) in pairs)
        {
            MustBeAble(device, pasid);
        }

        _torn = () =>
        {
            if (changes++ == dropAt)
            {
                Machine.DropCaches();
            }

            foreach ((BenchDevice device, uint pasid) in pairs)
            {
                ulong address = Probed[_accesses % Probed.Count];
                if (TryAccess(device.Requester, pasid, address, out bool isWrite) is { } result)
                {
                    Judge(device.Requester, pasid, address, isWrite, result, process, mayBeBlocked: true, during: true);
                }
            }
        };
    }

    /// <summary>Before a step: between any two stores of it everything else goes on as before.</summary>
    public void UndisturbedDuringNext(params (BenchDevice Device, uint Pasid)[] pairs) => _torn = () =>
    {
        // With what is cached, and without it: memory alone must be right at every moment, too.
        for (int round = 0; round < 2; round++)
        {
            foreach ((BenchDevice device, uint pasid) in pairs)
            {
                Probe(device.Requester, pasid, Probed[_accesses % Probed.Count]);
            }

            Machine.DropCaches();
        }
    };

    /// <summary>The machine must be able to make these accesses, or the case does not apply.</summary>
    public void MustBeAble(BenchDevice device, uint pasid)
    {
        OpResult ready = MakeReady(device.Requester, pasid);
        if (!ready.IsOk)
        {
            _context.NotApplicable($"{_context.BackEnd.Name}: {ready.Reason}");
        }
    }

    /// <summary>One access that is not judged; null where the machine cannot make it.</summary>
    public TranslationResult? TryAccess(RequesterId requester, uint pasid, ulong address) =>
        TryAccess(requester, pasid, address, out _);

    public TranslationResult Store(BenchDevice device, uint pasid, ulong address)
    {
        MustBeAble(device, pasid);
        _context.CheckPerformed();
        return Machine.Translate(new DmaAccess(device.Requester, new Pasid(pasid), address, IsWrite: true));
    }

    public static string Describe(TranslationResult result) => result.Status switch
    {
        TranslationStatus.Translated => Text($"reaches 0x{result.Address:x}"),
        TranslationStatus.ReachedPageTable => Text($"reaches the page table at 0x{result.PageTableRoot:x}"),
        TranslationStatus.Bypassed => "passes untranslated",
        TranslationStatus.Faulted => $"faults ({result.Reason})",
        _ => "is aborted without a record",
    };

    public static bool IsBlocked(TranslationResult result) =>
        result.Status is TranslationStatus.Faulted or TranslationStatus.AbortedQuietly;

    private void ProbeTwice((RequesterId Requester, uint Pasid)[] pairs)
    {
        for (int round = 0; round < 2; round++)
        {
            foreach ((RequesterId requester, uint pasid) in pairs)
            {
                foreach (ulong address in Probed)
                {
                    Probe(requester, pasid, address);
                }
            }
        }
    }

    private TranslationResult? TryAccess(RequesterId requester, uint pasid, ulong address, out bool isWrite)
    {
        // Each address is stored to and loaded from in turn.
        int n = _accesses;
        isWrite = !Has(TestHardwareTraits.Loads) || ((n + (n / Probed.Count)) & 1) == 0;
        bool isAdded = _devices.Any(d => d.Requester == requester);
        if (isAdded || Has(TestHardwareTraits.ManyPasids)
            ? !MakeReady(requester, pasid).IsOk
            : !_ready.TryGetValue(requester, out uint ready) || ready != pasid)
        {
            return null;
        }

        _accesses++;
        _context.CheckPerformed();
        return Machine.Translate(new DmaAccess(requester, new Pasid(pasid), address + Offset, isWrite));
    }

    private OpResult MakeReady(RequesterId requester, uint pasid)
    {
        OpResult ready = Machine.Prepare(requester, new Pasid(pasid));
        if (ready.IsOk)
        {
            _ready[requester] = pasid;
        }

        return ready;
    }

    private void Judge(
        RequesterId requester,
        uint pasid,
        ulong address,
        bool isWrite,
        TranslationResult result,
        TestProcess? process,
        bool mayBeBlocked,
        bool during = false)
    {
        if (IsBlocked(result)
            ? mayBeBlocked || process is null || process.MayBeBlocked(address, isWrite)
            : process is not null && process.IsReached(result, address))
        {
            return;
        }

        string wanted = process is null
            ? "nothing"
            : $"{process.Name}'s "
                + (process.HasPages
                    ? string.Join(" or ", process.Targets(address).Select(t => Text($"0x{t + Offset:x}")))
                    : Text($"page table at 0x{process.PageTableRoot:x}"))
                + (mayBeBlocked || process.MayBeBlocked(address, isWrite) ? " or nothing" : string.Empty);
        string when = _context.Notes.Count == 0 ? string.Empty
            : $"{(during ? "in the middle of" : "after")} '{_context.Notes[^1]}': ";
        List<string> details = [];
        if (Owner(result) is { } owner)
        {
            details.Add(owner);
        }

        details.AddRange(Walk(requester, pasid, address));
        _context.Fail(
            Text($"{when}{requester} PASID 0x{pasid:x} {(isWrite ? "store" : "load")} 0x{address + Offset:x} ")
                + $"{Describe(result)}, must reach {wanted}",
            details);
    }

    private string? Owner(TranslationResult result) => result.Status == TranslationStatus.Translated
        && _processes.Find(p => Probed.Any(page => p.IsReached(result, page))) is { } owner
        ? Text($"0x{result.Address:x} is memory of {owner.Name}")
        : null;

    private IEnumerable<string> Walk(RequesterId requester, uint pasid, ulong address)
    {
        if (BenchTables.Open(_context, Machine, requester).Value is not { } view)
        {
            yield break;
        }

        yield return "the tables that are in memory, without caches:";
        foreach (TableStep step in view.Walk(
            new DmaAccess(requester, new Pasid(pasid), address + Offset, IsWrite: true)).Steps)
        {
            yield return Text($"  {step.Structure} at 0x{step.Address:x}: {step.Text}");
        }
    }
}
