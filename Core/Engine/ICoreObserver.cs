// SPDX-License-Identifier: Apache-2.0

namespace PasidFramework.Engine;

/// <summary>
/// Notified of everything that happens to PASIDs and bindings, in the order in which it happens for one process. Called
/// outside of the domain's gate; keep it short, do not throw and do not call back into the core. Every member has an
/// empty default.
/// </summary>
public interface ICoreObserver
{
    /// <summary>A PASID was taken for a process.</summary>
    void Allocated(PasidSpace space, Pasid pasid, IAddressSpace process)
    {
    }

    /// <summary>A PASID goes back to its space's allocator.</summary>
    void Freed(PasidSpace space, Pasid pasid, IAddressSpace process)
    {
    }

    void Bound(Device device, Pasid pasid, IAddressSpace process)
    {
    }

    /// <summary>A binding ended.</summary>
    void Unbound(Device device, Pasid pasid, IAddressSpace process, UnbindCause cause)
    {
    }

    /// <summary>A process that the core tracks died; its bindings are torn down next.</summary>
    void Exited(IAddressSpace process)
    {
    }

    /// <summary>A driver's callback threw; may come from inside the domain's gate.</summary>
    /// <param name="instance">The unit.</param>
    /// <param name="callback">Name of the <see cref="IIommuUnit"/> member.</param>
    /// <param name="exception">What it threw.</param>
    void DriverThrew(IommuInstance instance, string callback, Exception exception)
    {
    }

    /// <summary>A bind or unbind was refused.</summary>
    /// <param name="process">The process of a bind; null for an unbind.</param>
    /// <param name="refusal">Error and reason.</param>
    void Refused(Device device, IAddressSpace? process, OpResult refusal)
    {
    }
}
