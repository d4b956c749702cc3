// SPDX-License-Identifier: Apache-2.0

namespace PasidFramework.Engine;

/// <content>Bind, unbind, and what they share.</content>
public sealed partial class IommuCore
{
    /// <summary>Binds a process to a device: from now on the device reaches the process's memory with the
    /// PASID.</summary>
    /// <param name="process">The process's address space.</param>
    /// <param name="flags">None is defined; an unknown one is EINVAL.</param>
    /// <returns>
    /// The process's PASID on that device. Or: EINVAL (flags, nesting domain, kernel thread), ENODEV (device without
    /// PASIDs, or being removed), ESRCH (the process died), EEXIST (bound already), EOVERFLOW (it has a PASID that
    /// this device cannot carry), ENOSPC (no PASID left, quota), ENOMEM, or the driver's refusal. After a refusal
    /// nothing is left behind.
    /// </returns>
    public OpResult<Pasid> Bind(Device device, IAddressSpace process, BindFlags flags = BindFlags.None)
    {
        ArgumentNullException.ThrowIfNull(device);
        ArgumentNullException.ThrowIfNull(process);
        AtomicContext.Forbid(nameof(Bind));
        OpResult check = CheckBind((DeviceRecord)device, process, flags);
        OpResult<Pasid> result = check.IsOk
            ? _bindings.Bind((DeviceRecord)device, process)
            : OpResult<Pasid>.Refuse(check);
        if (!result.IsOk)
        {
            _observer?.Refused(device, process, result.Outcome);
        }

        return result;
    }

    /// <summary>Ends one binding. The caller has stopped the device's work with this PASID.</summary>
    /// <returns>
    /// Success; ESRCH where this device has no such binding. ETIMEDOUT or EIO where an invalidation did not complete:
    /// the binding is gone, and the PASID is never allocated again.
    /// </returns>
    public OpResult Unbind(Device device, Pasid pasid)
    {
        ArgumentNullException.ThrowIfNull(device);
        AtomicContext.Forbid(nameof(Unbind));
        OpResult result = _bindings.Unbind((DeviceRecord)device, pasid, UnbindCause.Unbind);
        if (!result.IsOk)
        {
            _observer?.Refused(device, null, result);
        }

        return result;
    }

    /// <summary>Ends all bindings of a device.</summary>
    /// <returns>Success, or the first failed invalidation; all bindings are gone either way.</returns>
    public OpResult UnbindAll(Device device)
    {
        ArgumentNullException.ThrowIfNull(device);
        AtomicContext.Forbid(nameof(UnbindAll));
        return _bindings.UnbindAll((DeviceRecord)device);
    }

    private static OpResult CheckBind(DeviceRecord device, IAddressSpace process, BindFlags flags)
    {
        if (flags != BindFlags.None)
        {
            return OpResult.Refuse(Errno.EINVAL, $"flags 0x{(int)flags:x} are not known, must be 0");
        }

        if (device.Domain.IsNesting)
        {
            return OpResult.Refuse(Errno.EINVAL,
                $"domain {device.Domain.Name} is nested: a guest owns its PASID table");
        }

        if (device.Range.IsEmpty || device.Instance.Unit.PasidBits == 0)
        {
            return OpResult.Refuse(Errno.ENODEV, $"{device.Name} has no PASID capability");
        }

        if (device.Removing)
        {
            return Bindings.BeingRemoved(device);
        }

        if (process.IsKernelThread)
        {
            return OpResult.Refuse(Errno.EINVAL,
                $"{process.Name} (pid {process.Pid}) is a kernel thread without user memory");
        }

        return process.IsAlive ? OpResult.Ok : Bindings.Dead(process);
    }
}
