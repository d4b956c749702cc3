// SPDX-License-Identifier: Apache-2.0

namespace PasidFramework.Engine;

/// <summary>What users of the core see of a device and drivers do not.</summary>
public static class DeviceExtensions
{
    extension(Device device)
    {
        /// <summary>The unit it is behind.</summary>
        public IommuInstance Instance => ((DeviceRecord)device).Instance;
    }
}
