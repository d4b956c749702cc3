// SPDX-License-Identifier: Apache-2.0

namespace PasidFramework.DriverKit.Units;

/// <summary>A unit's record of a process: the tag (ASID) of its translations.</summary>
/// <param name="tag">The tag, from the unit's allocator.</param>
public sealed class UnitProcess(uint tag)
{
    private volatile bool _isTainted;

    /// <summary>The tag of its translations on this unit.</summary>
    public uint Tag { get; private set; } = tag;

    /// <summary>The next record that the unit uses again.</summary>
    internal UnitProcess? Next { get; set; }

    /// <summary>Whether an invalidation of it was not confirmed: caches may still hold its translations, so the tag is
    /// never allocated again.</summary>
    public bool IsTainted => _isTainted;

    /// <summary>Whether hardware did not confirm something: ETIMEDOUT or EIO.</summary>
    public static bool IsUnconfirmed(OpResult result) => result.Errno is Errno.ETIMEDOUT or Errno.EIO;

    /// <summary>Taints it where hardware did not confirm, and passes the outcome on.</summary>
    public OpResult TaintIfUnconfirmed(OpResult result)
    {
        if (IsUnconfirmed(result))
        {
            _isTainted = true;
        }

        return result;
    }

    // Used again for another process; a tainted record never is.
    internal UnitProcess Begin(uint tag)
    {
        Tag = tag;
        Next = null;
        return this;
    }
}
