// SPDX-License-Identifier: Apache-2.0

namespace PasidFramework.Conformance.Bench;

/// <summary>
/// A process with pages of its own: the addresses are the same as in all others, what they lead to is not. It remembers
/// what an address may lead to until the driver has been notified of a change.
/// </summary>
internal sealed class TestProcess : IAddressSpace, IDisposable
{
    private readonly ITestHardware _machine;
    private readonly IPageTable? _tables;
    private readonly ulong _bareRoot;
    private readonly Dictionary<ulong, List<ulong>> _targets = [];
    private readonly HashSet<ulong> _blocked = [];
    private readonly HashSet<ulong> _readOnly = [];
    private readonly List<ulong> _pages = [];
    private bool _isDisposed;

    public TestProcess(CaseContext context, ITestHardware machine, string name, int pid)
    {
        _machine = machine;
        Name = name;
        Pid = pid;
        Id = new AddressSpaceId((ulong)pid);
        string format = context.BackEnd.PageTables;
        if (format.Length == 0)
        {
            // The hardware stops at the root: any page will do.
            _bareRoot = Taken(machine.Memory.AllocatePages(4096));
            return;
        }

        if (!context.Subject.PageTables.TryGetValue(format, out IPageTableFormat? pages))
        {
            context.NotApplicable(
                $"{context.BackEnd.Name} walks page tables of the format '{format}', which no plug-in exports");
        }

        _tables = Taken(pages.Create(machine.Memory));
    }

    public AddressSpaceId Id { get; }
    public int Pid { get; }
    public string Name { get; }
    public ulong PageTableRoot => _tables?.Root ?? _bareRoot;
    public bool IsAlive { get; private set; } = true;

    /// <summary>Whether its pages can be distinguished; otherwise only its root can.</summary>
    public bool HasPages => _tables is not null;

    public void End() => IsAlive = false;

    /// <summary>Maps a page, or changes what it leads to: until <see cref="Settle"/> both may be reached.</summary>
    public void Map(ulong address, bool writable = true)
    {
        if (_tables is null)
        {
            return;
        }

        ulong target = Taken(_machine.AllocateTarget());
        _pages.Add(target);
        Must(_tables.Map(address, target, writable));
        if (!_targets.TryGetValue(address, out List<ulong>? targets))
        {
            _targets[address] = targets = [];
        }

        targets.Add(target);
        _blocked.Remove(address);
        if (!writable)
        {
            _readOnly.Add(address);
        }
    }

    public void Unmap(ulong address)
    {
        if (_tables is not null)
        {
            Must(_tables.Unmap(address));
            _blocked.Add(address);
        }
    }

    /// <summary>The driver has invalidated: only what is mapped now may be reached.</summary>
    public void Settle()
    {
        foreach ((ulong address, List<ulong> targets) in _targets)
        {
            // The pages themselves stay watched, so that a late store into one is seen.
            targets.RemoveRange(0, targets.Count - (_blocked.Contains(address) ? 0 : 1));
        }
    }

    /// <summary>What an access of the page may reach.</summary>
    public IReadOnlyList<ulong> Targets(ulong page) => _targets.GetValueOrDefault(page) ?? [];

    public bool MayBeBlocked(ulong page, bool isWrite) =>
        HasPages && (_blocked.Contains(page) || !_targets.ContainsKey(page) || (isWrite && _readOnly.Contains(page)));

    /// <summary>Whether an access <see cref="TestBench.Offset"/> into a page has reached this process.</summary>
    public bool IsReached(TranslationResult result, ulong page) => result.Status switch
    {
        TranslationStatus.Translated => Targets(page).Contains(result.Address - TestBench.Offset),
        TranslationStatus.ReachedPageTable => result.PageTableRoot == PageTableRoot,
        _ => false,
    };

    /// <summary>Gives the page tables back: from here on a walk into them reads freed memory.</summary>
    public void FreeTables()
    {
        if (_isDisposed)
        {
            return;
        }

        _isDisposed = true;
        _tables?.Dispose();
        if (_tables is null)
        {
            _machine.Memory.FreePages(_bareRoot, 4096);
        }
    }

    public void Dispose()
    {
        FreeTables();
        foreach (ulong page in _pages)
        {
            _machine.FreeTarget(page);
        }

        _pages.Clear();
    }

    private static T Taken<T>(OpResult<T> result) => result.IsOk
        ? result.Value
        : throw new HardwareException($"the kit got no memory: {result.Reason}");

    private static void Must(OpResult result)
    {
        if (!result.IsOk)
        {
            throw new HardwareException($"the kit could not change a page table: {result.Reason}");
        }
    }
}
