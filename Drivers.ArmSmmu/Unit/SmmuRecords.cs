using PasidFramework.Results;

namespace PasidFramework.Drivers.ArmSmmu.Unit;

/// <summary>The unit's record of a process: its ASID.</summary>
/// <param name="asid">The ASID, from the unit's allocator.</param>
internal sealed class SmmuProcess(uint asid)
{
    private volatile bool _isTainted;

    /// <summary>The tag of its translations on this unit.</summary>
    public uint Asid { get; } = asid;

    /// <summary>Whether an invalidation of it failed: then the TLB may hold its translations, and nobody else may get
    /// the ASID.</summary>
    public bool IsTainted => _isTainted;

    /// <summary>Marks it, and passes the outcome on.</summary>
    public OpResult TaintIfUnconfirmed(OpResult outcome)
    {
        if (outcome.Errno is Errno.ETIMEDOUT or Errno.EIO)
        {
            _isTainted = true;
        }

        return outcome;
    }
}

/// <summary>The unit's record of a device: its StreamID.</summary>
/// <param name="domain">The domain that it is in.</param>
/// <param name="sid">StreamID.</param>
/// <param name="ats">Whether device and unit speak ATS.</param>
internal sealed class SmmuStream(SmmuDomain domain, uint sid, bool ats)
{
    /// <summary>The domain.</summary>
    public SmmuDomain Domain { get; } = domain;

    /// <summary>StreamID.</summary>
    public uint Sid { get; } = sid;

    /// <summary>Whether it has a device TLB that must be told.</summary>
    public bool HasAts { get; } = ats;
}

/// <summary>The unit's record of a link of process and domain.</summary>
/// <param name="process">The process.</param>
internal sealed class SmmuLink(SmmuProcess process)
{
    /// <summary>The process.</summary>
    public SmmuProcess Process { get; } = process;

    /// <summary>Whether the process has exited and every cache has confirmed it; the core serialises per
    /// domain.</summary>
    public bool IsQuiet { get; set; }
}
