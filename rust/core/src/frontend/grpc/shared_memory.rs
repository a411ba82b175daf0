//! Shared memory over gRPC: regions are registered, shown and forgotten.

use crate::error::Result;
use crate::proto::inference as proto;
use crate::proto::inference::{cuda_shared_memory_status_response, system_shared_memory_status_response};
use crate::shared_memory::{Kind, Memory, Region, Regions, Segment};

pub(super) fn status(
    regions: &Regions,
    request: &proto::SystemSharedMemoryStatusRequest,
) -> Result<proto::SystemSharedMemoryStatusResponse> {
    let row = |region: &Region| match &region.memory {
        Memory::System(Segment { key, offset, .. }) => {
            let (name, key) = (region.name.clone(), key.clone());
            let byte_size = region.byte_size;
            Some(system_shared_memory_status_response::RegionStatus { name, key, offset: *offset, byte_size })
        }
        Memory::Cuda(..) => None,
    };
    let rows = regions.status(Kind::System, &request.name)?;
    let regions = rows.iter().filter_map(|region| Some((region.name.clone(), row(region)?))).collect();
    Ok(proto::SystemSharedMemoryStatusResponse { regions })
}

pub(super) fn register(
    regions: &Regions,
    request: &proto::SystemSharedMemoryRegisterRequest,
) -> Result<proto::SystemSharedMemoryRegisterResponse> {
    regions.register(&request.name, &request.key, request.offset, request.byte_size)?;
    Ok(proto::SystemSharedMemoryRegisterResponse {})
}

pub(super) fn unregister(
    regions: &Regions,
    request: &proto::SystemSharedMemoryUnregisterRequest,
) -> Result<proto::SystemSharedMemoryUnregisterResponse> {
    regions.unregister(Kind::System, &request.name)?;
    Ok(proto::SystemSharedMemoryUnregisterResponse {})
}

pub(super) fn cuda_status(
    regions: &Regions,
    request: &proto::CudaSharedMemoryStatusRequest,
) -> Result<proto::CudaSharedMemoryStatusResponse> {
    let row = |region: &Region| match &region.memory {
        Memory::Cuda(device, _) => {
            let (name, device_id, byte_size) = (region.name.clone(), *device as u64, region.byte_size);
            Some(cuda_shared_memory_status_response::RegionStatus { name, device_id, byte_size })
        }
        Memory::System(_) => None,
    };
    let rows = regions.status(Kind::Cuda, &request.name)?;
    let regions = rows.iter().filter_map(|region| Some((region.name.clone(), row(region)?))).collect();
    Ok(proto::CudaSharedMemoryStatusResponse { regions })
}

pub(super) fn register_cuda(
    regions: &Regions,
    request: &proto::CudaSharedMemoryRegisterRequest,
) -> Result<proto::CudaSharedMemoryRegisterResponse> {
    regions.register_cuda(&request.name, &request.raw_handle, request.device_id, request.byte_size)?;
    Ok(proto::CudaSharedMemoryRegisterResponse {})
}

pub(super) fn unregister_cuda(
    regions: &Regions,
    request: &proto::CudaSharedMemoryUnregisterRequest,
) -> Result<proto::CudaSharedMemoryUnregisterResponse> {
    regions.unregister(Kind::Cuda, &request.name)?;
    Ok(proto::CudaSharedMemoryUnregisterResponse {})
}
