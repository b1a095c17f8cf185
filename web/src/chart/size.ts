// How much room a chart has, as it changes.

import { onBeforeUnmount, onMounted, ref, type Ref } from 'vue'

export function useSize(frame: Ref<HTMLElement | undefined>) {
  const size = ref({ width: 0, height: 0 })
  let observer: ResizeObserver | undefined
  onMounted(() => {
    observer = new ResizeObserver(() => (size.value = { width: frame.value?.clientWidth ?? 0, height: frame.value?.clientHeight ?? 0 }))
    if (frame.value) observer.observe(frame.value)
  })
  onBeforeUnmount(() => observer?.disconnect())
  return size
}
