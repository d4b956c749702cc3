// SPDX-License-Identifier: Apache-2.0
using PasidFramework.Allocation;

namespace PasidFramework.Drivers.IntelVtd.Emulation.Functional;

/// <summary>
/// VT-d hardware on memory, scalable mode only: registers that answer at once, a queue consumer that runs when IQT is
/// written and refuses ill-formed descriptors, a walker of root, context and PASID structures. Intel VT-d, D51397-018
/// (rev 5.10).
/// </summary>
/// <remarks>
/// <para>It walks what is in memory, up to the page table, and caches nothing. <see cref="Caching.VtdModel"/> derives
/// from it and caches everything.</para>
/// <para>Not modelled: legacy mode, page requests, interrupts.</para>
/// </remarks>
internal partial class VtdHardware : IIommuHardware
{
    private readonly RegisterFile _registers;
    private SpinGate _gate;

    /// <param name="walkerMemory">What the table walker sees of it, where that differs: a walker that does not snoop.
    /// </param>
    /// <param name="queueMemory">Where descriptors are fetched and status is written, where that differs.</param>
    /// <exception cref="ArgumentException">An option is unknown or out of range.</exception>
    public VtdHardware(
        IPhysicalMemory memory,
        HardwareSetup setup,
        IDeviceMemory? walkerMemory = null,
        IDeviceMemory? queueMemory = null)
    {
        ArgumentNullException.ThrowIfNull(memory);
        var options = new VtdHardwareOptions(setup);
        Memory = memory;
        WalkerMemory = walkerMemory ?? memory;
        QueueMemory = queueMemory ?? memory;
        IsCoherent = setup.Coherent;
        Capabilities = options.Capabilities;
        ExtendedCapabilities = options.ExtendedCapabilities;
        Rules = new WalkRules(Capabilities, ExtendedCapabilities, options.HostAddressBits);
        _registers = new RegisterFile(this);
    }

    public IPhysicalMemory Memory { get; }
    public IRegisterFile Registers => _registers;
    public bool IsCoherent { get; }
    protected ulong Capabilities { get; }
    protected ulong ExtendedCapabilities { get; }

    /// <summary>Memory as the table walker sees it.</summary>
    protected IDeviceMemory WalkerMemory { get; }

    /// <summary>Memory as the queue's consumer sees it.</summary>
    protected IDeviceMemory QueueMemory { get; }
    protected uint Status => Volatile.Read(ref _gsts);

    /// <exception cref="ArgumentException">The requester is not a PCI one.</exception>
    public TranslationResult Translate(in DmaAccess access)
    {
        if (!access.Requester.IsPci)
        {
            throw new ArgumentException(
                $"Requester {access.Requester} is wider than the 16 bits of a PCI requester ID.", nameof(access));
        }

        if ((Volatile.Read(ref _gsts) & GlobalCommandBits.TE) == 0)
        {
            return new TranslationResult(TranslationStatus.Bypassed, access.Address, 0, 0, null);
        }

        return TranslateEnabled(access);
    }

    public void Dispose()
    {
        Dispose(true);
        GC.SuppressFinalize(this);
    }

    /// <summary>Translates an access while translation is on.</summary>
    /// <param name="access">The access; its requester is a PCI one.</param>
    protected virtual TranslationResult TranslateEnabled(in DmaAccess access)
    {
        WalkResult walk = TableWalker.Configure(Rules, RootTable, access, this);
        return walk.Fault != 0 ? Fail(access, walk.Fault, walk.IsQuiet)
            : walk.IsPassThrough ? new TranslationResult(TranslationStatus.Bypassed, access.Address, 0, 0, null)
            : new TranslationResult(TranslationStatus.ReachedPageTable, 0, walk.PageTableRoot, 0, null);
    }

    /// <summary>An access is aborted, with a record or quietly.</summary>
    protected TranslationResult Fail(in DmaAccess access, int fault, bool quiet)
    {
        if (quiet)
        {
            return new TranslationResult(TranslationStatus.AbortedQuietly, 0, 0, 0, null);
        }

        RecordFault(access, fault);
        return new TranslationResult(TranslationStatus.Faulted, 0, 0, fault, Text(
            $"{fault:x2}h: {FaultReasonNames.Of(fault)}"));
    }

    /// <summary>Frees what a derived model holds.</summary>
    protected virtual void Dispose(bool disposing)
    {
    }
}
