using System.Globalization;
using PasidFramework.Drivers.IntelVtd.Registers;
using PasidFramework.Hardware;
using PasidFramework.Threading;

namespace PasidFramework.Drivers.IntelVtd.Hardware;

/// <summary>
/// VT-d hardware on memory, scalable mode only: registers that answer at once, a queue consumer that runs when IQT is
/// written and refuses ill-formed descriptors, a walker of root, context and PASID structures. Intel VT-d, D51397-018
/// (rev 5.10).
/// </summary>
/// <remarks>
/// <para>It walks what is in memory and caches nothing. A model with caches derives from it: <see cref="Walk"/> is
/// where to look a cache up and <see cref="Invalidate"/> where to drop from it.</para>
/// <para>Not modelled: legacy mode, second stage and nesting, page requests, interrupts, page table walks.</para>
/// </remarks>
internal partial class VtdHardware : IIommuHardware
{
    private readonly RegisterFile _registers;
    private readonly int _hostAddressBits;
    private SpinGate _gate;

    /// <summary>Makes hardware.</summary>
    /// <param name="memory">The memory that driver and hardware share.</param>
    /// <param name="setup">Capabilities.</param>
    /// <param name="walkerMemory">What the table walker sees of it, where that differs: a walker that does not snoop.
    /// </param>
    /// <exception cref="ArgumentException">An option is unknown or out of range.</exception>
    public VtdHardware(IPhysicalMemory memory, HardwareSetup setup, IPhysicalMemory? walkerMemory = null)
    {
        ArgumentNullException.ThrowIfNull(memory);
        var options = new VtdHardwareOptions(setup);
        Memory = memory;
        WalkerMemory = walkerMemory ?? memory;
        IsCoherent = setup.Coherent;
        Capabilities = options.Capabilities;
        ExtendedCapabilities = options.ExtendedCapabilities;
        _hostAddressBits = options.HostAddressBits;
        _registers = new RegisterFile(this);
    }

    /// <inheritdoc/>
    public IPhysicalMemory Memory { get; }

    /// <inheritdoc/>
    public IRegisterFile Registers => _registers;

    /// <inheritdoc/>
    public bool IsCoherent { get; }

    /// <summary>Value of CAP.</summary>
    protected ulong Capabilities { get; }

    /// <summary>Value of ECAP.</summary>
    protected ulong ExtendedCapabilities { get; }

    /// <summary>Memory as the table walker sees it.</summary>
    protected IPhysicalMemory WalkerMemory { get; }

    /// <inheritdoc/>
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

        WalkResult walk = Walk(access);
        if (walk.Fault == 0)
        {
            return walk.IsPassThrough
                ? new TranslationResult(TranslationStatus.Bypassed, access.Address, 0, 0, null)
                : new TranslationResult(TranslationStatus.ReachedPageTable, 0, walk.PageTableRoot, 0, null);
        }

        if (walk.IsQuiet)
        {
            return new TranslationResult(TranslationStatus.AbortedQuietly, 0, 0, 0, null);
        }

        RecordFault(access, walk.Fault);
        return new TranslationResult(TranslationStatus.Faulted, 0, 0, walk.Fault, string.Create(
            CultureInfo.InvariantCulture, $"{walk.Fault:x2}h: {FaultReason.Describe(walk.Fault)}"));
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        Dispose(true);
        GC.SuppressFinalize(this);
    }

    /// <summary>Frees what a derived model holds.</summary>
    /// <param name="disposing">Always true: there is no finalizer.</param>
    protected virtual void Dispose(bool disposing)
    {
    }
}
